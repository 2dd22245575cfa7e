import { expect, test } from "vitest";
import type { InterfaceEvent } from "../../src/domain/node-api.ts";
import { neverAborted, unlessAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld, pluginFailed, settle, until } from "./world.ts";

const path = "/run/netns/a";
const network = { name: "blue", interface: "net1" };

test("what was plugged through a path that is gone is found through another one", async () => {
  const world = await createWorld();
  const target = await world.addNetns(path);
  const process = { kind: "netns", netns: "/proc/42/ns/net" } as const;
  world.interfaces.addPath(process.netns, path);
  await world.as("tester").attach({ target: process, network }, neverAborted);
  world.interfaces.removePath(process.netns);
  expect(await world.as("tester").attach({ target, network }, neverAborted)).toMatchObject({
    created: false,
    interface: { name: "net1", netns: path, state: "attached", index: 2 },
  });
});

test("to give another's name as the owner isn't enough to replace what is theirs", async () => {
  const world = await createWorld();
  const { target, answer } = await attachBlue(world);
  const request = { target, network: { ...network, name: "green" }, owner: "tester", replace: true };
  await expect(world.as("another").attach(request, neverAborted)).rejects.toMatchObject({
    reason: "OWNED_BY_OTHER",
  });
  expect(await world.as("tester").list({ target }, neverAborted)).toEqual([answer.interface]);
  expect(await world.as("tester").attach(request, neverAborted)).toMatchObject({ created: true });
});

test("a plugin that hangs when it is only asked is given as long as any other", async () => {
  const world = await createWorld({ timeoutMs: 20 });
  const target = await world.addNetns(path);
  world.executor.prepare = (_definition, _selection, { deep }, signal) => {
    expect(deep).toBe(true);
    return unlessAborted(new Promise(() => undefined), signal, "asking a plugin");
  };
  await expect(
    world.as("tester").attach({ target, network, validateOnly: true }, neverAborted),
  ).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
});

test("plugins that are only asked are bounded in number like those that change something", async () => {
  const world = await createWorld({ maxConcurrent: 2 });
  const held = Promise.withResolvers<void>();
  let asked = 0;
  const { prepare } = world.executor;
  world.executor.prepare = async (...args) => {
    asked += 1;
    await held.promise;
    return await prepare(...args);
  };
  const work = [1, 2, 3].map(async (each) => {
    const target = await world.addNetns(`/run/netns/p${each}`);
    return await world.as("tester").attach({ target, network, validateOnly: true }, neverAborted);
  });
  await settle();
  expect(asked).toBe(2);
  held.resolve();
  await Promise.all(work);
  expect(asked).toBe(3);
});

test("watchers hear that a failed replacement took what it was to replace", async () => {
  const world = await createWorld();
  const { target, answer } = await attachBlue(world);
  const leaving = new AbortController();
  const events: InterfaceEvent[] = [];
  const watching = (async () => {
    for await (const event of world.as("tester").watch({}, leaving.signal)) events.push(event);
  })();
  await until(() => events.at(-1)?.kind === "synced");
  world.executor.failOn("add", pluginFailed);
  const request = { target, network: { ...network, name: "green" }, replace: true };
  await expect(world.as("tester").attach(request, neverAborted)).rejects.toThrow();
  await settle();
  leaving.abort();
  await watching;
  expect(events.slice(2)).toMatchObject([
    { kind: "failed", interface: { name: "net1", network: "green" } },
    { kind: "detached", interface: { attachmentId: answer.interface.attachmentId } },
  ]);
  expect(events).toHaveLength(4);
});

test("a replacement of what was renamed by hand is refused, and loses nothing", async () => {
  const world = await createWorld();
  const { target, answer } = await attachBlue(world);
  world.interfaces.changeLink(path, "net1", { name: "mine" });
  const request = { target, network: { ...network, name: "green" }, replace: true };
  await expect(world.as("tester").attach(request, neverAborted)).rejects.toMatchObject({
    reason: "INTERFACE_LEFT",
  });
  world.interfaces.changeLink(path, "mine", { name: "net1" });
  expect(await world.as("tester").list({ target }, neverAborted)).toEqual([answer.interface]);
});
