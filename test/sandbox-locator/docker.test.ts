import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { silentLogger } from "../../src/domain/log.ts";
import type { PodRef, Target } from "../../src/domain/target.ts";
import {
  createDockerLocator,
  type DockerLocator,
  type DockerLocatorOptions,
} from "../../src/sandbox/docker.ts";
import { containerLocatorContract } from "../contracts/container-locator.ts";
import {
  type NamespaceWorld,
  namespaceLocatorContract,
  type PodWorld,
  podLocatorContract,
} from "../contracts/sandbox-locator.ts";
import { type FakeDocker, startFakeDocker } from "../fakes/fake-docker.ts";
import { createFakeInterfaces, type FakeInterfaces } from "../fakes/fake-interfaces.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";

const { signal } = new AbortController();
const web: PodRef = { namespace: "demo", name: "web" };
const container = (containerId: string): Target => ({ kind: "container", containerId });

async function makeWorld(options: Partial<DockerLocatorOptions> = {}): Promise<{
  readonly docker: FakeDocker;
  readonly interfaces: FakeInterfaces;
  readonly locator: DockerLocator;
}> {
  const interfaces = createFakeInterfaces();
  const docker = await startFakeDocker(interfaces);
  const locator = createDockerLocator({
    socketPath: docker.socketPath,
    interfaces,
    clock: systemClock,
    log: silentLogger,
    ...options,
  });
  onTestFinished(async () => {
    locator[Symbol.dispose]();
    await docker[Symbol.asyncDispose]();
  });
  return { docker, interfaces, locator };
}

describe("Kubernetes on cri-dockerd", () => {
  const makeContractWorld = async (): Promise<NamespaceWorld & PodWorld> => {
    const { docker, interfaces, locator } = await makeWorld();
    interfaces.addFile("/etc/passwd");
    let made = 0;
    return {
      locator,
      interfaces,
      namespaces: {
        async add() {
          made += 1;
          interfaces.addNetns(`/run/netns/bare-${made}`);
          interfaces.addPath(`/proc/4${made}/ns/net`, `/run/netns/bare-${made}`);
          return [`/run/netns/bare-${made}`, `/proc/4${made}/ns/net`];
        },
        nothing: "/run/netns/none",
        notNamespace: "/etc/passwd",
      },
      pods: {
        add: async (ref) => docker.addPod(ref),
        replaceSandbox: async (ref) => docker.replaceSandbox(ref),
        stop: async (ref) => docker.stopPod(ref),
        remove: async (ref) => docker.removePod(ref),
      },
      async [Symbol.asyncDispose]() {},
    };
  };
  describe("a namespace", () => {
    namespaceLocatorContract(makeContractWorld);
  });
  describe("a pod", () => {
    podLocatorContract(makeContractWorld);
  });
});

describe("a plain container", () => {
  containerLocatorContract(async () => {
    const { docker, interfaces, locator } = await makeWorld();
    let made = 0;
    return {
      locator,
      interfaces,
      containers: {
        async add(networkMode) {
          made += 1;
          return docker.add(`plain-${made}`, { networkMode });
        },
        stop: async (id) => docker.stop(id),
        restart: async (id) => docker.restart(id),
      },
      async [Symbol.asyncDispose]() {},
    };
  });

  test("that gVisor runs is refused", async () => {
    const { docker, locator } = await makeWorld();
    const { id } = docker.add("vnf", { runtime: "runsc" });
    await expect(locator.locate(container(id), signal)).rejects.toEqual(failure("NAMESPACE_HIDDEN"));
  });

  test("is located through its process where Docker's own path isn't there", async () => {
    const { docker, interfaces, locator } = await makeWorld();
    const { id, netnsPath, pid } = docker.add("vnf");
    const processPath = `/proc/${pid}/ns/net`;
    interfaces.addPath(processPath, netnsPath);
    interfaces.removePath(netnsPath);
    expect(await locator.locate(container(id), signal)).toMatchObject({ netnsPath: processPath });
  });

  test("is never asked for by what isn't an ID or a name", async () => {
    const { docker, locator } = await makeWorld();
    for (const containerId of ["", "../images", "a/b", "a?all=1", "-x"]) {
      await expect(locator.locate(container(containerId), signal)).rejects.toEqual(failure("TARGET_INVALID"));
    }
    expect(docker.takeCalls()).toEqual({});
  });
});

test("what was learnt of a pod is used again with one question", async () => {
  let nowMs = 0;
  const { docker, locator } = await makeWorld({ clock: { ...systemClock, steadyMs: () => nowMs } });
  docker.addPod(web);
  const sandbox = await locator.locate({ kind: "pod", pod: web }, signal);
  docker.takeCalls();
  nowMs += 1_000;
  expect(await locator.locate({ kind: "pod", pod: web }, signal)).toEqual(sandbox);
  expect(docker.takeCalls()).toEqual({ "/containers/ID/json": 1 });
});

test("a container whose process is seen in its namespace is used again without a question", async () => {
  let nowMs = 0;
  const { docker, interfaces, locator } = await makeWorld({
    clock: { ...systemClock, steadyMs: () => nowMs },
  });
  const { id, netnsPath, pid } = docker.add("vnf");
  interfaces.addPath(`/proc/${pid}/ns/net`, netnsPath);
  const sandbox = await locator.locate(container(id), signal);
  docker.takeCalls();
  nowMs += 60_000;
  expect(await locator.locate(container(id), signal)).toEqual(sandbox);
  expect(docker.takeCalls()).toEqual({});

  // The PID is another one's now.
  interfaces.removePath(`/proc/${pid}/ns/net`);
  interfaces.addNetns(`/proc/${pid}/ns/net`);
  nowMs += 60_000;
  expect(await locator.locate(container(id), signal)).toEqual(sandbox);
  expect(docker.takeCalls()).toEqual({ "/containers/ID/json": 1 });

  docker.stop(id);
  nowMs += 60_000;
  await expect(locator.locate(container(id), signal)).rejects.toEqual(failure("SANDBOX_NOT_READY"));
});

test("it says what runs here", async () => {
  const { locator } = await makeWorld();
  expect(await locator.describe(signal)).toBe("docker 28.5.2");
});

describe("a Docker", () => {
  test("that is away is UNREACHABLE, and used again when it is back", async () => {
    const { docker, locator } = await makeWorld();
    docker.add("vnf");
    expect(await locator.list(signal)).toHaveLength(1);
    await docker.goAway();
    await expect(locator.list(signal)).rejects.toEqual(failure("UNREACHABLE", docker.socketPath));
    await docker.comeBack();
    expect(await locator.list(signal)).toHaveLength(1);
  });

  test("that says nothing is UNREACHABLE after the deadline, and doesn't hold a caller who leaves", async () => {
    const { docker, locator } = await makeWorld({ deadlineMs: 200 });
    docker.answerWith(() => {});
    await expect(locator.list(signal)).rejects.toEqual(failure("UNREACHABLE", "within 200 ms"));
    await expect(locator.describe(signal)).rejects.toEqual(failure("UNREACHABLE", "within 200 ms"));
    const leaving = new AbortController();
    const left = locator.list(leaving.signal);
    leaving.abort();
    await expect(left).rejects.toEqual(failure("CANCELED"));
  });

  test.each<[string, Parameters<FakeDocker["answerWith"]>[0]]>([
    ["answers no JSON", (response) => response.end("<html>")],
    ["answers other JSON", (response) => response.end('{"Id":7}')],
    ["answers half", (response) => response.writeHead(200, { "Content-Length": 99 }).end("{") && undefined],
    ["hangs up", (response) => response.destroy()],
    ["hangs up amid its answer", (response) => void response.write("[{", () => response.destroy())],
    ["fails", (response) => response.writeHead(500).end('{"message":"broken"}') && undefined],
  ])("that %s is UNREACHABLE", async (_, answer) => {
    const { docker, locator } = await makeWorld({ deadlineMs: 300 });
    docker.answerWith(answer);
    await expect(locator.locate(container("vnf"), signal)).rejects.toEqual(failure("UNREACHABLE"));
    await expect(locator.list(signal)).rejects.toEqual(failure("UNREACHABLE"));
    docker.answerWith(undefined);
    await eventually(
      () =>
        locator.list(signal).then(
          () => true,
          () => false,
        ),
      "Docker is used again",
    );
  });
});
