import fc from "fast-check";
import { expect, test } from "vitest";
import { interfaceOf, networkOf } from "../../src/controller/status-entries.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { createNode } from "./node.ts";

const selection = fc.record(
  {
    name: fc.constantFrom("blue", "red"),
    interface: fc.constantFrom("net1", "net2", "ens4"),
    mac: fc.constantFrom("02:00:00:00:aa:01", "02:00:00:00:aa:02"),
  },
  { requiredKeys: ["name"] },
);

/** Names that nobody names twice: those are refused, which other tests show. */
const annotation = fc
  .array(selection, { maxLength: 4 })
  .map((list) =>
    list.filter(
      (each, at) => !each.interface || list.findIndex((other) => other.interface === each.interface) === at,
    ),
  );

const act = fc.oneof(
  { weight: 4, arbitrary: annotation.map((networks) => ({ kind: "annotate", networks }) as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "replace" } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "overwrite" } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "lose" } as const) },
  { weight: 1, arbitrary: fc.constantFrom("add", "del").map((verb) => ({ kind: "fail", verb }) as const) },
);

const failed = new PodplugError("PLUGIN_FAILED", "plugin fake failed: no");

test("whatever happened before, the pod ends as its annotation says", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 6 }), annotation, async (acts, last) => {
      const node = await createNode();
      await node.addPod("web", "");
      for (const each of acts) {
        if (each.kind === "annotate") await node.setNetworks("web", JSON.stringify(each.networks));
        if (each.kind === "overwrite")
          node.cluster.annotate("default/web", { "k8s.v1.cni.cncf.io/network-status": "[]" });
        if (each.kind === "replace") await node.replaceSandbox("web");
        if (each.kind === "lose") {
          const [, name] = node.links("web");
          if (name !== undefined) node.world.interfaces.removeLink(node.netnsPath("web"), name);
        }
        if (each.kind === "fail") node.world.executor.failOn(each.verb, failed);
        if (each.kind === "restart") {
          await node.kill();
          await node.restart();
        }
      }
      node.world.executor.failOn("add", undefined);
      node.world.executor.failOn("del", undefined);
      await node.setNetworks("web", JSON.stringify(last));
      await node.clock.advance(600_000);

      const told = node.statusOf("web").filter((entry) => entry["default"] !== true);
      expect(told.map(interfaceOf).toSorted()).toEqual(node.links("web").slice(1).toSorted());
      expect(told.map(networkOf).toSorted()).toEqual(last.map(({ name }) => `default/${name}`).toSorted());
      for (const { name, interface: ifName, mac } of last) {
        const entries = told.filter(
          (entry) =>
            entry["name"] === `default/${name}` &&
            (ifName === undefined || entry["interface"] === ifName) &&
            (mac === undefined || entry["mac"] === mac),
        );
        expect(entries).not.toEqual([]);
      }
      const [sandboxId] = (await node.world.sandboxes.list(node.world.never)).map(({ id }) => id);
      const leases = node.world.executor.leases().filter((lease) => lease.startsWith(`${sandboxId} `));
      expect(leases).toHaveLength(last.length);
      await node.stopController();
    }),
    { numRuns: 100, seed: 20 },
  );
});
