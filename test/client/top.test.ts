import { expect, test } from "vitest";
import type { InterfaceCounters, ListRequest, NodeApi, PodInterface } from "../../src/domain/node-api.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import { createFakeNode } from "../fakes/fake-node-api.ts";
import { cli, testClock } from "./cli-in-memory.ts";

const none: InterfaceCounters = {
  rxBytes: 0,
  txBytes: 0,
  rxPackets: 0,
  txPackets: 0,
  rxErrors: 0,
  txErrors: 0,
  rxDropped: 0,
  txDropped: 0,
};

/** A node with two attachments, whose counters are these at the first look, at the second, …; two seconds lie between. */
async function createWorld(looks: readonly (readonly Partial<InterfaceCounters>[])[]) {
  const asked: ListRequest[] = [];
  const node = createFakeNode().apiFor({ name: "tester", reconciler: false });
  for (const name of ["data0", "data1"]) {
    const target = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;
    await node.attach({ target, network: { name: "net-a", interface: name } }, signal);
  }
  const api: NodeApi = {
    ...node,
    async list(request, leave) {
      const counted = looks[asked.length] ?? [];
      asked.push(request);
      const found = await node.list(request, leave);
      return found.flatMap((one, index): PodInterface[] => {
        const counters = counted[index];
        return counters === undefined ? [] : [{ ...one, counters: { ...none, ...counters } }];
      });
    },
  };
  const clock = { ...testClock, steadyMs: () => asked.length * 2000 };
  return { api, asked, clock };
}

test("top looks twice and tells the rates between, the busiest first", async () => {
  const world = await createWorld([
    [{ rxBytes: 1000, rxPackets: 10 }, { rxBytes: 5 }],
    [
      { rxBytes: 2000, rxPackets: 30 },
      { rxBytes: 5, txBytes: 3_000_000_000, txPackets: 2_400_000, txDropped: 7 },
    ],
  ]);
  const { code, stdout, stderr } = await cli(["top", "-A"], world);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
    ["POD/NETNS", "INTERFACE", "NETWORK", "RX BIT/S", "TX BIT/S", "RX PKT/S", "TX PKT/S"],
    ["demo/web", "data1", "demo/net-a", "0", "12.0G", "0", "1.20M"],
    ["demo/web", "data0", "demo/net-a", "4.00k", "0", "10", "0"],
    [""],
  ]);
  expect(world.asked).toMatchObject([{ counters: true }, { counters: true }]);
});

test("-o wide adds errors and drops, and json has the numbers whole", async () => {
  const looks = [[{ rxBytes: 0 }], [{ rxBytes: 1001, rxErrors: 3, txDropped: 4 }]];
  const wide = await cli(["top", "-n", "demo", "-o", "wide"], await createWorld(looks));
  expect(wide.stdout).toMatch(/ +RX ERRORS +TX ERRORS +RX DROPPED +TX DROPPED\n.* 3 +0 +0 +4\n$/);
  const { stdout } = await cli(["top", "demo/web", "-o", "json"], await createWorld(looks));
  expect(JSON.parse(stdout)).toMatchObject({
    rates: [
      {
        pod: { namespace: "demo", name: "web" },
        interface: "data0",
        network: "demo/net-a",
        rxBitsPerSecond: 4004,
        counters: { rxBytes: 1001, rxErrors: 3 },
      },
    ],
  });
});

test("an interface that came meanwhile has no rate yet, and nothing to tell is said so", async () => {
  const world = await createWorld([[], [{ rxBytes: 1 }]]);
  expect(await cli(["top", "-A"], world)).toEqual({
    code: 0,
    stdout: "",
    stderr: "no interfaces whose counters are told\n",
  });
});
