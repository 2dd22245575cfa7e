import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { Target } from "../../src/domain/target.ts";
import { createRecordingLog } from "../support/recording-log.ts";
import { attachBlue, createWorld, type World } from "./world.ts";

const path = "/run/netns/a";
const network = { name: "blue", interface: "net1" };
const net1 = { by: "interface", interface: "net1" } as const;

/** Lists the target's interfaces while `change` overtakes the look into the namespace. */
async function listOvertakenBy(world: World, target: Target, change: () => Promise<unknown>) {
  const { list } = world.interfaces;
  const held = Promise.withResolvers<void>();
  world.interfaces.list = async (place, signal) => {
    const links = await list(place, signal);
    await held.promise;
    return links;
  };
  const listing = world.as("tester").list({ target }, neverAborted);
  await turn();
  world.interfaces.list = list;
  await change();
  held.resolve();
  return await listing;
}

test("an interface that is detached meanwhile is never listed as the pod's own", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  const detach = () => world.as("tester").detach({ target, which: net1 }, neverAborted);
  expect(await listOvertakenBy(world, target, detach)).toEqual([]);
});

test("an interface that is attached meanwhile is never listed as gone", async () => {
  const world = await createWorld();
  const target = await world.addNetns(path);
  const attach = () => world.as("tester").attach({ target, network }, neverAborted);
  expect(await listOvertakenBy(world, target, attach)).toMatchObject([
    { name: "net1", state: "attached", failure: undefined },
  ]);
});

test("what is to be replaced is listed as its attachment, whatever it is called by now", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  const { list } = world.interfaces;
  const seen: unknown[] = [];
  world.interfaces.list = async (place, signal) => {
    world.interfaces.list = list;
    const links = await list(place, signal);
    world.interfaces.changeLink(path, "net1", { name: "net1-nic" });
    // Planned by now; the next look is DEL's.
    world.interfaces.list = async (...look) => {
      world.interfaces.list = list;
      seen.push(...(await world.as("tester").list({ target }, neverAborted)));
      return await list(...look);
    };
    return links;
  };
  const request = { target, network: { name: "green", interface: "net1" }, replace: true };
  await expect(world.as("tester").attach(request, neverAborted)).rejects.toThrow();
  expect(seen).toMatchObject([{ name: "net1-nic", origin: "podplug", state: "attaching" }]);
});

test("what was detached is told without a failure", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  const answer = await world.as("tester").detach({ target, which: net1 }, neverAborted);
  expect(answer).toMatchObject({ detached: true, interface: { name: "net1", failure: undefined } });
});

describe("a namespace that can't be read", () => {
  const unreadable = new PodplugError("INTERNAL", "can't read interfaces: input/output error");

  async function worldWithUnreadable() {
    const log = createRecordingLog();
    const world = await createWorld({ log });
    for (const each of [path, "/run/netns/b"]) await attachBlue(world, each);
    const { list } = world.interfaces;
    world.interfaces.list = async (place, signal) => {
      if (place.netnsPath === path) throw unreadable;
      return await list(place, signal);
    };
    const warnings = () => log.lines.filter(({ level }) => level === "warn");
    const mend = () => void (world.interfaces.list = list);
    return { world, api: world.as("tester"), warnings, mend };
  }

  test("is left out of the list of all and told of once, and is in it as soon as it can be read", async () => {
    const { api, warnings, mend } = await worldWithUnreadable();
    for (const _again of [1, 2]) {
      expect(await api.list({}, neverAborted)).toMatchObject([{ netns: "/run/netns/b", name: "net1" }]);
    }
    expect(warnings()).toMatchObject([{ facts: { netns: path, err: unreadable } }]);
    mend();
    expect(await api.list({}, neverAborted)).toHaveLength(2);
  });

  test("keeps no watcher from the others", async () => {
    const { api } = await worldWithUnreadable();
    const leaving = new AbortController();
    for await (const event of api.watch({}, leaving.signal)) {
      if (event.kind === "synced") break;
      expect(event).toMatchObject({ kind: "present", interface: { netns: "/run/netns/b" } });
    }
  });

  test("fails what is asked of it alone", async () => {
    const { api } = await worldWithUnreadable();
    const target = { kind: "netns", netns: path } as const;
    await expect(api.list({ target }, neverAborted)).rejects.toBe(unreadable);
  });
});

test.each(["INTERNAL", "RESOURCE_EXHAUSTED"] as const)(
  "when no namespace can be read the list fails: %s",
  async (reason) => {
    const world = await createWorld();
    await attachBlue(world);
    world.interfaces.failWith(new PodplugError(reason, "no"));
    await expect(world.as("tester").list({}, neverAborted)).rejects.toMatchObject({ reason });
  },
);

test("a watcher that comes while the agent stops is told so too", async () => {
  const world = await createWorld();
  const target = await world.addNetns(path);
  const { locate } = world.sandboxes;
  const held = Promise.withResolvers<void>();
  world.sandboxes.locate = async (...asked) => {
    await held.promise;
    return await locate(...asked);
  };
  const watching = Array.fromAsync(world.as("tester").watch({ target }, neverAborted)).catch(
    (error: unknown) => error,
  );
  await turn();
  await world.engine.drain();
  held.resolve();
  expect(await watching).toMatchObject({ reason: "AGENT_STOPPING" });
});
