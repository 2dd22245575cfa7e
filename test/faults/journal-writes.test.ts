import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { AgentParts } from "../../src/agent.ts";
import type { FileSteps } from "../../src/attachments/file-steps.ts";
import { asPodplugError } from "../../src/domain/errors.ts";
import type { Reason } from "../../src/domain/reasons.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { type AgentHere, startAgentHere } from "../agent/agent-here.ts";
import { fails, makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";
import { eventually } from "../server/eventually.ts";
import { fill, mountTmpfs, type TestMount } from "../support/mount.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";

/*
 * The file system under the journal fills up, or turns read-only, before each
 * single step of each kind of change, and stays so until the change is over.
 */

interface World {
  readonly node: TestNode;
  readonly netns: TestNetns;
  readonly state: TestMount;
  here: AgentHere;
}

interface Change {
  readonly what: string;
  readonly attachedBefore: boolean;
  /** Why it fails, but for the journal. */
  readonly reason?: Reason;
  make(world: World): Promise<unknown>;
}

const target = ({ netns }: World) => ({ kind: "netns", netns: netns.path }) as const;
const attach = (world: World, network: object, replace = false): Promise<unknown> =>
  world.here.client.attach(
    { target: target(world), network: { interface: "net1", ...network }, replace },
    neverAborted,
  );
const detach = (world: World): Promise<unknown> =>
  world.here.client.detach(
    { target: target(world), which: { by: "interface", interface: "net1" } },
    neverAborted,
  );

const changes: readonly Change[] = [
  { what: "an attach", attachedBefore: false, make: (world) => attach(world, { name: "blue" }) },
  {
    what: "an attach with a default route",
    attachedBefore: false,
    make: (world) => attach(world, { name: "blue", defaultRoute: { gateways: [world.node.gateway] } }),
  },
  {
    what: "an attach that fails",
    attachedBefore: false,
    reason: "PLUGIN_FAILED",
    make: (world) => attach(world, { name: "broken" }),
  },
  { what: "a detach", attachedBefore: true, make: detach },
  { what: "a replacement", attachedBefore: true, make: (world) => attach(world, { name: "green" }, true) },
];

interface Fault {
  readonly how: string;
  /** The steps that it hits. */
  readonly hits: readonly (keyof FileSteps)[];
  begin(world: Pick<World, "state">): Promise<AsyncDisposable>;
}

const faults: readonly Fault[] = [
  {
    how: "full",
    hits: ["writeSynced"],
    async begin({ state }) {
      const filler = join(state.path, "filler");
      await fill(filler);
      return { [Symbol.asyncDispose]: () => rm(filler) };
    },
  },
  {
    how: "read-only",
    hits: ["writeSynced", "rename", "syncDirectory", "unlink"],
    begin: ({ state }) => state.coverReadOnly(),
  },
];

const cases = changes.flatMap((change) => faults.map((fault) => ({ ...change, ...fault })));

test.each(cases)(
  "$what whose journal is $how from any step on comes to a right end",
  {
    timeout: 240_000,
  },
  async ({ attachedBefore, reason, make, hits, begin }) => {
    await using plugins = await makePluginDirectory();
    await plugins.add("broken", { ADD: [fails(100, "no")] });
    await using node = await makeNode({ binDirs: [plugins.path] });
    await node.defineNetwork("broken", [node.bridgePlugin(), { type: "broken" }]);
    await using netns = await makeNetns("journal");
    await using state = await mountTmpfs(node.stateDir, "64k");
    const fault = createTrigger(hits, () => begin({ state }));
    const world: World = { node, netns, state, here: await startAgentHere(node, fault.parts) };
    try {
      for (let step = 1; ; step += 1) {
        if (attachedBefore) await attach(world, { name: "blue" });
        fault.arm(step);
        const failed = await make(world).then(
          () => undefined,
          (error: unknown) => asPodplugError(error),
        );
        const hit = fault.hit;
        if (failed) expect(["JOURNAL_FAILED", reason], `step ${step}`).toContain(failed.reason);
        // Questions are answered meanwhile.
        await world.here.client.list({ target: target(world) }, neverAborted);
        await fault.end();
        // Half of the times by the next agent, half by this one's own retries.
        if (step % 2 === 0) {
          await world.here[Symbol.asyncDispose]();
          world.here = await startAgentHere(node, fault.parts);
        }
        await eventually(async () => isWholeOrGone(await census(world)), `step ${step} ends right`);
        if (step % 2 === 0) expect(await leftParts(node), `step ${step}`).toEqual([]);
        const { links } = await census(world);
        if (!failed) expect(links, `step ${step} was done`).toEqual(attachedAfter({ make, attachedBefore }));
        await detach(world);
        expect(await census(world), `step ${step}, detached`).toEqual(nothing);
        if (!hit) return;
      }
    } finally {
      await fault.end();
      await world.here[Symbol.asyncDispose]();
    }
  },
);

function attachedAfter({ make, attachedBefore }: Pick<Change, "make" | "attachedBefore">): readonly string[] {
  return attachedBefore && make === detach ? [] : ["net1"];
}

/** Begins a fault right before a step of the journal, counted from when it was armed. */
function createTrigger(hits: readonly (keyof FileSteps)[], begin: () => Promise<AsyncDisposable>) {
  let left = 0;
  let running: AsyncDisposable | undefined;
  let hit = false;

  async function before(step: keyof FileSteps): Promise<void> {
    if (left === 0 || !hits.includes(step)) return;
    left -= 1;
    if (left > 0) return;
    hit = true;
    running = await begin();
  }

  const around =
    <Args extends readonly unknown[]>(step: keyof FileSteps, work: (...args: Args) => Promise<void>) =>
    async (...args: Args): Promise<void> => {
      await before(step);
      await work(...args);
    };

  return {
    parts: ({ steps, exec }: AgentParts): AgentParts => ({
      exec,
      steps: {
        ...steps,
        writeSynced: around("writeSynced", steps.writeSynced),
        rename: around("rename", steps.rename),
        syncDirectory: around("syncDirectory", steps.syncDirectory),
        unlink: around("unlink", steps.unlink),
      },
    }),
    arm(step: number): void {
      left = step;
      hit = false;
    },
    get hit() {
      return hit;
    },
    async end(): Promise<void> {
      left = 0;
      await running?.[Symbol.asyncDispose]();
      running = undefined;
    },
  };
}

const nothing = { links: [], listed: [], leases: 0, records: 0, hostEnds: 0 };

async function census(world: World) {
  const { node, netns, here } = world;
  const links = await netns.ipJson<IpLink[]>("addr");
  const views = await here.client.list({ target: target(world) }, neverAborted);
  return {
    links: links.map(({ ifname }) => ifname).filter((name) => name !== "lo"),
    listed: views.map(({ name, state }) => `${name} ${state}`),
    leases: (await node.leases()).length,
    // A part of a write that couldn't be removed either goes at the next start.
    records: (await node.journalFiles()).filter((file) => !file.endsWith(".tmp")).length,
    hostEnds: (await node.hostEnds()).length,
  };
}

/** Files of the journal that are no records. */
async function leftParts(node: TestNode): Promise<readonly string[]> {
  return (await node.journalFiles()).filter((file) => file.endsWith(".tmp"));
}

function isWholeOrGone({ links, listed, leases, records, hostEnds }: Awaited<ReturnType<typeof census>>) {
  const count = links.length;
  const isAttached = listed.every((each) => each === "net1 attached");
  return isAttached && [listed.length, leases, records, hostEnds].every((each) => each === count);
}
