import { expect, test } from "vitest";
import type { Cni } from "../../src/cni/cni.ts";
import { followHosts } from "../../src/contiv/follow-hosts.ts";
import { readIntent } from "../../src/contiv/read-intent.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import type { PodInterface } from "../../src/domain/node-api.ts";
import { createManualClock } from "../support/manual-clock.ts";
import { createRecordingLog } from "../support/recording-log.ts";
import { example } from "./example.ts";

/** A node where these networks are plugged, whose plugin runs are kept. */
async function createWorld(...plugged: readonly string[]) {
  let read = readIntent(JSON.stringify(example));
  let failure: PodplugError | undefined;
  const runs: string[] = [];
  const clock = createManualClock();
  const log = createRecordingLog();
  const stopping = new AbortController();
  const run = (verb: string): Cni["add"] => {
    return async ({ network }) => {
      if (failure) throw failure;
      const { uplink: told } = network.plugins[0].raw;
      runs.push(`${verb} ${typeof told === "string" ? told : ""}`);
      return {};
    };
  };
  const views = plugged.map((network) => ({ network, selection: { source: "contiv" } }) as PodInterface);
  const del = run("DEL");
  const following = followHosts(
    {
      cni: {
        add: run("ADD"),
        del: async (attachment, _result, signal) => void (await del(attachment, signal)),
      } as Cni,
      file: { path: "/etc/intent.json", current: () => read, async *changes() {} },
      hostName: "host1",
      api: { list: async () => views },
      timeoutMs: 1_000,
      clock,
      log,
    },
    stopping.signal,
  );
  const settle = async (): Promise<readonly string[]> => {
    for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
    return runs.splice(0);
  };
  return {
    log,
    settle,
    async pass(): Promise<readonly string[]> {
      clock.advance(2_000);
      return await settle();
    },
    write(intent: unknown): void {
      read = readIntent(JSON.stringify(intent));
    },
    failWith(error: PodplugError | undefined): void {
      failure = error;
    },
    async stop(): Promise<void> {
      stopping.abort();
      await following;
    },
  };
}

const oneMore = { ...example, Hosts: [...example.Hosts, { Name: "host3", VtepIp: "192.168.2.12" }] };
const uplink = "vxlan 10001 192.168.2.10 192.168.2.11";

test("the first look brings what is plugged up to date, and takes back what an earlier run left counted", async () => {
  const world = await createWorld("tenant-one/orange");
  expect(await world.settle()).toEqual([
    `ADD ${uplink}`,
    `DEL ${uplink}`,
    "DEL vxlan 10002 192.168.2.10 192.168.2.11",
  ]);
  await world.stop();
});

test("a change of the file reaches what is plugged alone, and nothing runs without one", async () => {
  const world = await createWorld("tenant-one/orange");
  await world.settle();
  expect(await world.pass()).toEqual([]);
  world.write(oneMore);
  expect(await world.pass()).toEqual([`ADD ${uplink},192.168.2.12`, `DEL ${uplink},192.168.2.12`]);
  world.write({ Hosts: [{}] });
  expect(await world.pass()).toEqual([]);
  await world.stop();
});

test("what failed is said, and tried again", async () => {
  const world = await createWorld("tenant-one/orange");
  await world.settle();
  world.write(oneMore);
  world.failWith(new PodplugError("PLUGIN_FAILED", "no such device"));
  expect(await world.pass()).toEqual([]);
  expect(world.log.lines).toMatchObject([{ level: "warn", facts: { reason: "PLUGIN_FAILED" } }]);
  world.failWith(undefined);
  expect(await world.pass()).toEqual([]);
  expect(await world.pass()).toEqual([`ADD ${uplink},192.168.2.12`, `DEL ${uplink},192.168.2.12`]);
  await world.stop();
});
