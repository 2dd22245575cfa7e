import { expect, test } from "vitest";
import type { AttachmentJournal } from "../../src/attachments/journal.ts";
import { recordOf } from "../attachments/records.ts";

/** `open` opens the same journal again each time, as a restarted agent would. */
export function journalContract(make: () => Promise<{ open(): Promise<AttachmentJournal> }>): void {
  test("a new journal has no records", async () => {
    const store = await make();
    const journal = await store.open();
    expect(await journal.load()).toEqual([]);
    expect(await journal.missing()).toBe(0);
  });

  test("a record comes back as it was written, after a restart", async () => {
    const store = await make();
    const record = recordOf({
      selection: {
        name: "blue",
        ips: ["10.0.0.2"],
        cniArgs: { a: { b: [1, null, "x"] } },
        defaultRoute: { gateways: [] },
        bandwidth: { ingressRate: 10 },
        portMappings: [{ hostPort: 80, containerPort: 8080, protocol: "tcp" }],
        source: "directory",
      },
      sandbox: { ...recordOf().sandbox, pod: { namespace: "demo", name: "web", uid: "u-1" } },
      chain: {
        ...recordOf().chain,
        routesBefore: [{ family: "ipv6", ifIndexes: [2, 3], encoded: "CgAAAP4D" }],
      },
      restores: true,
      late: true,
      replaces: { ...recordOf().chain, routesBefore: [] },
      failure: { reason: "PLUGIN_FAILED", message: "no", plugin: "bridge", cniCode: 11, retryable: true },
    });
    await (await store.open()).write(record);
    expect(await (await store.open()).load()).toEqual([record]);
  });

  test("a write replaces the record of the same sandbox and interface", async () => {
    const store = await make();
    const journal = await store.open();
    await journal.write(recordOf({ state: "attaching" }));
    await journal.write(recordOf({ id: "a-2", network: "green" }));
    await journal.write(recordOf({ id: "a-3", ifName: "net2" }));
    const records = await (await store.open()).load();
    expect(records.map((record) => [record.id, record.ifName]).toSorted()).toEqual([
      ["a-2", "net1"],
      ["a-3", "net2"],
    ]);
  });

  test("a removed record is gone, and removing it again does nothing", async () => {
    const store = await make();
    const journal = await store.open();
    await journal.write(recordOf());
    await journal.remove(recordOf());
    await journal.remove(recordOf());
    expect(await (await store.open()).load()).toEqual([]);
  });

  test("records of long names and of many sandboxes don't meet", async () => {
    const store = await make();
    const journal = await store.open();
    const records = Array.from({ length: 50 }, (_, index) =>
      recordOf({
        id: `a-${index}`,
        network: "n".repeat(253),
        sandbox: { ...recordOf().sandbox, id: `${"c".repeat(200)}${index % 25}` },
        ifName: index < 25 ? "net1" : "net2",
      }),
    );
    await Promise.all(records.map((record) => journal.write(record)));
    expect(await (await store.open()).load()).toHaveLength(50);
  });
}
