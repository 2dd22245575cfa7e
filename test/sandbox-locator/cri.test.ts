import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { silentLogger } from "../../src/domain/log.ts";
import type { PodRef, Target } from "../../src/domain/target.ts";
import { type CriLocator, type CriLocatorOptions, createCriLocator } from "../../src/sandbox/cri.ts";
import {
  type NamespaceWorld,
  namespaceLocatorContract,
  type PodWorld,
  podLocatorContract,
} from "../contracts/sandbox-locator.ts";
import { type CriFlavour, type FakeCriRuntime, startFakeCriRuntime } from "../fakes/fake-cri-runtime.ts";
import { createFakeInterfaces, type FakeInterfaces } from "../fakes/fake-interfaces.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";
import { createRecordingLog } from "../support/recording-log.ts";

const { signal } = new AbortController();
const web: PodRef = { namespace: "demo", name: "web" };
const db: PodRef = { namespace: "demo", name: "db" };
const podTarget = (pod: PodRef): Target => ({ kind: "pod", pod });

interface World {
  readonly runtime: FakeCriRuntime;
  readonly interfaces: FakeInterfaces;
  readonly locator: CriLocator;
  /** Moves the locator's clock. */
  pass(ms: number): void;
}

async function makeWorld(
  options: Partial<CriLocatorOptions> = {},
  flavour: CriFlavour = "containerd",
): Promise<World> {
  const interfaces = createFakeInterfaces();
  interfaces.addNetns("/proc/1/ns/net");
  const runtime = await startFakeCriRuntime(interfaces, flavour);
  let nowMs = 0;
  const locator = createCriLocator({
    socketPath: runtime.socketPath,
    interfaces,
    clock: { ...systemClock, steadyMs: () => nowMs },
    log: silentLogger,
    ...options,
  });
  onTestFinished(async () => {
    locator[Symbol.dispose]();
    await runtime[Symbol.asyncDispose]();
  });
  return { runtime, interfaces, locator, pass: (ms) => void (nowMs += ms) };
}

describe.each<CriFlavour>(["containerd", "cri-o"])("on %s", (flavour) => {
  const makeContractWorld = async (): Promise<NamespaceWorld & PodWorld> => {
    const { runtime, interfaces, locator } = await makeWorld({}, flavour);
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
        add: async (ref) => runtime.addPod(ref),
        replaceSandbox: async (ref) => void runtime.replaceSandbox(ref),
        stop: async (ref) => runtime.stopPod(ref),
        remove: async (ref) => runtime.removePod(ref),
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

  test("the runtime is told by name and version", async () => {
    const { locator } = await makeWorld({}, flavour);
    expect(await locator.describe(signal)).toBe(
      flavour === "containerd" ? "cri containerd 2.1.9" : "cri cri-o 1.36.3",
    );
  });
});

describe("which sandbox of a pod", () => {
  test("the newest that is ready, whichever was asked for before", async () => {
    const { runtime, locator, pass } = await makeWorld();
    const old = runtime.addPod(web);
    expect(await locator.locate(podTarget(web), signal)).toMatchObject({ id: old.sandboxId });
    const young = runtime.addPod(web);
    pass(10_000);
    expect(await locator.locate(podTarget(web), signal)).toMatchObject({ id: young.sandboxId });
    expect(await locator.locate(podTarget({ ...web, uid: old.uid }), signal)).toMatchObject({
      id: old.sandboxId,
    });
  });

  test("of two that are ready under one UID, the newest alone is listed", async () => {
    const { runtime, locator } = await makeWorld();
    runtime.addPod({ ...web, uid: "one" });
    const young = runtime.addPod({ ...web, uid: "one" });
    expect(await locator.list(signal)).toMatchObject([{ id: young.sandboxId }]);
  });

  test("a static pod's, by the config hash that is its UID in the runtime", async () => {
    const { runtime, locator } = await makeWorld();
    const { sandboxId } = runtime.addPod(web, { uid: "5c60d6e2dd6d6a1f2a3b" });
    expect(await locator.locate(podTarget({ ...web, uid: "5c60d6e2dd6d6a1f2a3b" }), signal)).toMatchObject({
      id: sandboxId,
    });
  });

  test("a refusal names the UID that the pod has", async () => {
    const { runtime, locator } = await makeWorld();
    runtime.addPod(web, { uid: "present" });
    await expect(locator.locate(podTarget({ ...web, uid: "past" }), signal)).rejects.toEqual(
      failure("UID_MISMATCH", "pod demo/web has UID present on this node, not past"),
    );
  });
});

describe("refused is", () => {
  test("a pod on the node's own network, which isn't listed either", async () => {
    const { runtime, locator } = await makeWorld();
    const { containerId } = runtime.addPod(web, { hostNetwork: true });
    for (const target of [podTarget(web), { kind: "container", containerId } as const]) {
      await expect(locator.locate(target, signal)).rejects.toEqual(
        failure("HOST_NETWORK", "pod demo/web uses the node's own network"),
      );
    }
    expect(await locator.list(signal)).toEqual([]);
  });

  test("a pod whose namespace is the host's, though the runtime doesn't say so", async () => {
    const { runtime, interfaces, locator } = await makeWorld();
    const { netnsPath } = runtime.addPod(web);
    interfaces.removePath(netnsPath);
    interfaces.addPath(netnsPath, "/proc/1/ns/net");
    await expect(locator.locate(podTarget(web), signal)).rejects.toEqual(failure("HOST_NETWORK"));
  });

  test.each(["kata", "kata-qemu", "gvisor", "runsc"])("a pod that %s runs", async (runtimeHandler) => {
    const { runtime, locator } = await makeWorld();
    const { netnsPath } = runtime.addPod(web, { runtimeHandler });
    for (const target of [podTarget(web), { kind: "netns", netns: netnsPath } as const]) {
      await expect(locator.locate(target, signal)).rejects.toEqual(
        failure("NAMESPACE_HIDDEN", runtimeHandler),
      );
    }
    expect(await locator.list(signal)).toEqual([]);
  });

  test("a pod by its shim, whatever its handler is called", async () => {
    const { runtime, locator } = await makeWorld();
    runtime.rewriteInfo((info) => info.replaceAll("io.containerd.runc.v2", "io.containerd.kata.v2"));
    runtime.addPod(web, { runtimeHandler: "secure" });
    await expect(locator.locate(podTarget(web), signal)).rejects.toEqual(failure("NAMESPACE_HIDDEN"));
  });

  test("a container of no ID", async () => {
    const { runtime, locator } = await makeWorld();
    runtime.addPod(web);
    for (const containerId of ["", "../web", "a b"]) {
      await expect(locator.locate({ kind: "container", containerId }, signal)).rejects.toEqual(
        failure("TARGET_INVALID"),
      );
    }
  });
});

test("a runtime handler that is said to be pluggable is plugged into", async () => {
  const { runtime, locator } = await makeWorld({ pluggableHandlers: ["kata-qemu"] });
  const { sandboxId } = runtime.addPod(web, { runtimeHandler: "kata-qemu" });
  expect(await locator.locate(podTarget(web), signal)).toMatchObject({ id: sandboxId });
});

describe("where the namespace is", () => {
  test("in that of its first process, when the specification has no path", async () => {
    const { runtime, interfaces, locator } = await makeWorld();
    interfaces.addNetns("/proc/23359/ns/net");
    runtime.addPod(web);
    runtime.rewriteInfo((info) => info.replace(/"path":"\/run\/netns\/[^"]*"/, '"path":""'));
    expect(await locator.locate(podTarget(web), signal)).toMatchObject({ netnsPath: "/proc/23359/ns/net" });
  });

  test.each(["", "{", "null", "[]", '{"pid":"x","runtimeSpec":{"linux":{"namespaces":7}}}', '{"pid":0}'])(
    "not said: %j is UNSUPPORTED",
    async (info) => {
      const { runtime, locator } = await makeWorld();
      runtime.addPod(web);
      runtime.rewriteInfo(() => info);
      await expect(locator.locate(podTarget(web), signal)).rejects.toEqual(failure("UNSUPPORTED"));
    },
  );

  test("gone, though the runtime calls the sandbox ready, is SANDBOX_NOT_READY and not listed", async () => {
    const { runtime, interfaces, locator } = await makeWorld();
    const { netnsPath } = runtime.addPod(web);
    interfaces.removePath(netnsPath);
    await expect(locator.locate(podTarget(web), signal)).rejects.toEqual(failure("SANDBOX_NOT_READY"));
    expect(await locator.list(signal)).toEqual([]);
  });
});

describe("what was learnt of a sandbox", () => {
  test("is used again without listing, by whichever name", async () => {
    const { runtime, locator, pass } = await makeWorld();
    const { netnsPath, sandboxId, uid } = runtime.addPod(web);
    const sandbox = await locator.locate(podTarget(web), signal);
    expect(runtime.takeCalls()).toEqual({ ListPodSandbox: 1, PodSandboxStatus: 1 });
    for (const target of [
      podTarget(web),
      podTarget({ ...web, uid }),
      { kind: "netns", netns: netnsPath },
      { kind: "container", containerId: sandboxId },
    ] as const) {
      pass(1_000);
      expect(await locator.locate(target, signal)).toEqual(sandbox);
      expect(runtime.takeCalls()).toEqual({ PodSandboxStatus: 1 });
    }
  });

  test("is used again at once without a question, but not in another namespace", async () => {
    const { runtime, interfaces, locator, pass } = await makeWorld();
    const { netnsPath, uid } = runtime.addPod(web);
    const sandbox = await locator.locate(podTarget(web), signal);
    pass(1_000);
    for (const calls of [{ PodSandboxStatus: 1 }, {}, {}]) {
      runtime.takeCalls();
      expect(await locator.locate(podTarget({ ...web, uid }), signal)).toEqual(sandbox);
      expect(runtime.takeCalls()).toEqual(calls);
      pass(100);
    }
    interfaces.removePath(netnsPath);
    await expect(locator.locate(podTarget(web), signal)).rejects.toEqual(failure("SANDBOX_NOT_READY"));
  });

  test("by UID stays good for as long as the sandbox is ready", async () => {
    const { runtime, locator, pass } = await makeWorld();
    const { uid } = runtime.addPod(web);
    await locator.locate(podTarget({ ...web, uid }), signal);
    runtime.takeCalls();
    pass(3_600_000);
    await locator.locate(podTarget({ ...web, uid }), signal);
    expect(runtime.takeCalls()).toEqual({ PodSandboxStatus: 1 });
  });

  test("spares a listing the looks at each", async () => {
    const { runtime, locator } = await makeWorld();
    for (const pod of [web, db]) runtime.addPod(pod);
    runtime.addPod({ namespace: "demo", name: "host" }, { hostNetwork: true });
    await locator.list(signal);
    expect(runtime.takeCalls()).toEqual({ ListPodSandbox: 1, PodSandboxStatus: 3 });
    expect(await locator.list(signal)).toHaveLength(2);
    expect(runtime.takeCalls()).toEqual({ ListPodSandbox: 1 });
  });

  test("is dropped when the sandbox isn't ready any more", async () => {
    const { runtime, locator } = await makeWorld();
    const { uid, sandboxId } = runtime.addPod(web);
    await locator.locate(podTarget({ ...web, uid }), signal);
    runtime.stopPod(web);
    for (const target of [
      podTarget({ ...web, uid }),
      { kind: "container", containerId: sandboxId } as const,
    ]) {
      await expect(locator.locate(target, signal)).rejects.toEqual(failure("SANDBOX_NOT_READY"));
    }
  });

  test("is dropped when its path leads to another namespace", async () => {
    const { runtime, interfaces, locator } = await makeWorld();
    const { netnsPath } = runtime.addPod(web);
    const before = await locator.locate(podTarget(web), signal);
    interfaces.recycleNetns(netnsPath);
    const after = await locator.locate(podTarget(web), signal);
    expect(after.id).toBe(before.id);
    expect(after.netns).toEqual(await interfaces.identify(netnsPath, signal));
    expect(after.netns).not.toEqual(before.netns);
  });
});

describe("a sandbox that the runtime can't tell of", () => {
  const troubles = [
    ["fails to look at", status.UNKNOWN],
    ["says nothing of", "silence"],
  ] as const;

  test.each(troubles)("which it %s, is left out until it can, and told of once", async (_, trouble) => {
    const log = createRecordingLog();
    const { runtime, locator } = await makeWorld({ log, deadlineMs: 60_000 });
    const { sandboxId } = runtime.addPod(web);
    runtime.addPod(db);
    runtime.troubleStatusOf(web, trouble);
    for (const _again of [1, 2]) expect(await locator.list(signal)).toMatchObject([{ pod: db }]);
    const warnings = log.lines.filter(({ level }) => level === "warn");
    expect(warnings).toMatchObject([{ facts: { sandbox: sandboxId, pod: "demo/web" } }]);
    runtime.troubleStatusOf(web, undefined);
    if (trouble !== "silence") expect(await locator.list(signal)).toHaveLength(2);
  });

  test("is asked for once at a time, however often all are listed", async () => {
    const { runtime, locator } = await makeWorld({ deadlineMs: 60_000 });
    runtime.addPod(web);
    runtime.addPod(db);
    runtime.troubleStatusOf(web, "silence");
    await Promise.all([locator.list(signal), locator.list(signal)]);
    expect(runtime.takeCalls()).toMatchObject({ PodSandboxStatus: 2 });
  });

  test("fails what only it could answer: whose a bare namespace is", async () => {
    const { runtime, interfaces, locator } = await makeWorld();
    const { netnsPath } = runtime.addPod(db);
    runtime.addPod(web);
    runtime.troubleStatusOf(web, status.UNKNOWN);
    interfaces.addNetns("/run/netns/bare");
    const bare = { kind: "netns", netns: "/run/netns/bare" } as const;
    await expect(locator.locate(bare, signal)).rejects.toEqual(failure("UNREACHABLE", "the test says so"));
    expect(await locator.locate({ kind: "netns", netns: netnsPath }, signal)).toMatchObject({ pod: db });
  });

  test("isn't taken for one while the runtime goes away", async () => {
    const { runtime, locator } = await makeWorld();
    for (const pod of [web, db]) runtime.addPod(pod);
    runtime.rewriteInfo((info) => {
      void runtime.goAway();
      return info;
    });
    await expect(locator.list(signal)).rejects.toEqual(failure("UNREACHABLE", runtime.socketPath));
  });
});

async function canList(locator: CriLocator): Promise<boolean> {
  try {
    return (await locator.list(signal)).length === 1;
  } catch {
    return false;
  }
}

describe("a runtime", () => {
  test("that is away is UNREACHABLE at once, also for a namespace's path, and found again by itself", async () => {
    const { runtime, locator, pass } = await makeWorld();
    const { netnsPath } = runtime.addPod(web);
    const sandbox = await locator.locate(podTarget(web), signal);
    await runtime.goAway();
    pass(1_000);
    for (const target of [podTarget(web), podTarget(db), { kind: "netns", netns: netnsPath } as const]) {
      await expect(locator.locate(target, signal)).rejects.toEqual(
        failure("UNREACHABLE", runtime.socketPath),
      );
    }
    await expect(locator.list(signal)).rejects.toEqual(failure("UNREACHABLE"));
    await expect(locator.describe(signal)).rejects.toEqual(failure("UNREACHABLE"));
    await runtime.comeBack();
    await eventually(() => canList(locator), "the runtime is used again");
    expect(await locator.locate(podTarget(web), signal)).toEqual(sandbox);
  });

  test("that says nothing is UNREACHABLE after the deadline", async () => {
    const { runtime, locator } = await makeWorld({ deadlineMs: 100 });
    runtime.addPod(web);
    runtime.hang(true);
    await expect(locator.locate(podTarget(web), signal)).rejects.toEqual(
      failure("UNREACHABLE", "within 100 ms"),
    );
    runtime.hang(false);
    await eventually(() => canList(locator), "the runtime is used again");
  });

  test("that says nothing doesn't hold a caller who leaves", async () => {
    const { runtime, locator } = await makeWorld({ deadlineMs: 60_000 });
    runtime.hang(true);
    const late = locator.locate(podTarget(web), AbortSignal.timeout(20));
    await expect(late).rejects.toEqual(failure("DEADLINE_EXCEEDED"));
    const leaving = new AbortController();
    const left = locator.list(leaving.signal);
    leaving.abort();
    await expect(left).rejects.toEqual(failure("CANCELED"));
  });

  test("that answers nonsense is UNREACHABLE", async () => {
    const { runtime, locator } = await makeWorld();
    runtime.addPod(web);
    runtime.answerGarbage();
    await expect(locator.locate(podTarget(web), signal)).rejects.toEqual(failure("UNREACHABLE"));
  });

  test.each([status.UNKNOWN, status.INTERNAL, status.RESOURCE_EXHAUSTED, status.UNAVAILABLE])(
    "that fails with code %i is UNREACHABLE",
    async (code) => {
      const { runtime, locator } = await makeWorld();
      runtime.addPod(web);
      runtime.failWith(code);
      await expect(locator.locate(podTarget(web), signal)).rejects.toEqual(
        failure("UNREACHABLE", "the test says so"),
      );
    },
  );

  test("without CRI v1 is UNSUPPORTED", async () => {
    const { runtime, locator } = await makeWorld();
    runtime.failWith(status.UNIMPLEMENTED);
    await expect(locator.list(signal)).rejects.toEqual(failure("UNSUPPORTED", "ListPodSandbox"));
  });

  test.each<[string, (socket: Socket) => void]>([
    ["speaks another protocol", (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["hangs up", (socket) => socket.destroy()],
    ["takes connections and says nothing", () => {}],
  ])("whose socket %s is UNREACHABLE", async (_, behave) => {
    const directory = await mkdtemp(join(tmpdir(), "podplug-socket-"));
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      behave(socket);
    });
    const socketPath = join(directory, "s");
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    onTestFinished(async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await rm(directory, { recursive: true });
    });
    const { locator } = await makeWorld({ socketPath, deadlineMs: 300 });
    await expect(locator.locate(podTarget(web), signal)).rejects.toEqual(failure("UNREACHABLE"));
  });
});

test("a thousand questions at once are all answered", async () => {
  const { runtime, locator } = await makeWorld();
  const pods = Array.from({ length: 100 }, (_, index) => ({ namespace: "demo", name: `pod-${index}` }));
  const ids = pods.map((pod) => runtime.addPod(pod).sandboxId);
  const asked = Array.from({ length: 10 }, () => pods).flat();
  const located = await Promise.all(asked.map((pod) => locator.locate(podTarget(pod), signal)));
  expect(located.map(({ id }) => id)).toEqual(Array.from({ length: 10 }, () => ids).flat());
});
