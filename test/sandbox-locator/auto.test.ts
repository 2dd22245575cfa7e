import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { type AutoLocator, createAutoLocator } from "../../src/sandbox/auto.ts";
import { type FakeCriRuntime, startFakeCriRuntime } from "../fakes/fake-cri-runtime.ts";
import { type FakeDocker, startFakeDocker } from "../fakes/fake-docker.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";

const { signal } = new AbortController();

interface World {
  readonly containerd: FakeCriRuntime;
  readonly crio: FakeCriRuntime;
  readonly criDockerd: FakeCriRuntime;
  readonly docker: FakeDocker;
  /** A path with no socket. */
  readonly nothing: string;
  find(criSocketPaths: readonly string[], dockerSocketPath?: string, deadlineMs?: number): AutoLocator;
}

async function makeWorld(): Promise<World> {
  const interfaces = createFakeInterfaces();
  const stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "podplug-auto-"));
  stack.defer(() => rm(directory, { recursive: true }));
  onTestFinished(() => stack.disposeAsync());
  return {
    containerd: stack.use(await startFakeCriRuntime(interfaces, "containerd")),
    crio: stack.use(await startFakeCriRuntime(interfaces, "cri-o")),
    criDockerd: stack.use(await startFakeCriRuntime(interfaces, "containerd", "docker")),
    docker: stack.use(await startFakeDocker(interfaces)),
    nothing: join(directory, "none.sock"),
    find: (criSocketPaths, dockerSocketPath, deadlineMs) =>
      stack.use(
        createAutoLocator({
          interfaces,
          clock: systemClock,
          log: silentLogger,
          criSocketPaths,
          dockerSocketPath,
          deadlineMs,
        }),
      ),
  };
}

test("the first socket that is there decides", async () => {
  const { containerd, crio, docker, nothing, find } = await makeWorld();
  const runtimeAt = (...paths: readonly string[]): Promise<string> =>
    find(paths, docker.socketPath).describe(signal);
  expect(await runtimeAt(containerd.socketPath, crio.socketPath)).toBe("cri containerd 2.1.9");
  expect(await runtimeAt(nothing, crio.socketPath)).toBe("cri cri-o 1.36.3");
  expect(await runtimeAt(nothing)).toBe("docker 28.5.2");
});

test("a containerd that only Docker uses, without CRI, is passed over", async () => {
  const { containerd, docker, find } = await makeWorld();
  containerd.failWith(status.UNIMPLEMENTED);
  expect(await find([containerd.socketPath], docker.socketPath).describe(signal)).toBe("docker 28.5.2");
});

test("pods of cri-dockerd are found through Docker, which alone says where they are", async () => {
  const { criDockerd, docker, find } = await makeWorld();
  const { sandboxId } = docker.addPod({ namespace: "demo", name: "web" });
  const locator = find([criDockerd.socketPath], docker.socketPath);
  expect(
    await locator.locate({ kind: "pod", pod: { namespace: "demo", name: "web" } }, signal),
  ).toMatchObject({ id: sandboxId });
});

test("a runtime that is there and silent isn't passed over for another one", async () => {
  const { containerd, crio, docker, find } = await makeWorld();
  containerd.hang(true);
  const locator = find([containerd.socketPath, crio.socketPath], docker.socketPath, 300);
  await expect(locator.list(signal)).rejects.toEqual(failure("UNREACHABLE", containerd.socketPath));
  containerd.hang(false);
  await eventually(
    () =>
      locator.describe(signal).then(
        (runtime) => runtime === "cri containerd 2.1.9",
        () => false,
      ),
    "containerd is used",
  );
});

test("a runtime that comes later is found then, and kept when another one comes", async () => {
  const { containerd, crio, find } = await makeWorld();
  await containerd.goAway();
  await crio.goAway();
  const locator = find([containerd.socketPath, crio.socketPath]);
  await expect(locator.list(signal)).rejects.toEqual(failure("UNREACHABLE", crio.socketPath));
  await crio.comeBack();
  expect(await locator.describe(signal)).toBe("cri cri-o 1.36.3");
  await containerd.comeBack();
  expect(await locator.describe(signal)).toBe("cri cri-o 1.36.3");
});

test("a file that is no socket is passed over", async () => {
  const { crio, nothing, find } = await makeWorld();
  await writeFile(nothing, "");
  expect(await find([nothing, join(nothing, "below"), crio.socketPath]).describe(signal)).toBe(
    "cri cri-o 1.36.3",
  );
});

test("many who ask at once share one search, and one who leaves doesn't end it", async () => {
  const { containerd, find } = await makeWorld();
  const locator = find([containerd.socketPath]);
  const leaving = new AbortController();
  const left = locator.describe(leaving.signal);
  const others = Promise.all(Array.from({ length: 5 }, () => locator.list(signal)));
  leaving.abort();
  await expect(left).rejects.toEqual(failure("CANCELED"));
  expect(await others).toEqual(Array.from({ length: 5 }, () => []));
  expect(containerd.takeCalls()).toEqual({ Version: 1, ListPodSandbox: 5 });
});
