import { describeNetwork } from "../cni/network-type.ts";
import type { AttachmentState } from "../domain/attachment.ts";
import { observe, type Telemetry, type Work } from "../domain/telemetry.ts";
import type { Applier } from "./apply.ts";
import type { AttachmentRecord } from "./journal.ts";

/** The same applier, telling how long each change took. */
export function observeApplier(applier: Applier, telemetry: Telemetry): Applier {
  const changeOf = (verb: "attach" | "detach" | "undo", record: AttachmentRecord): Work => ({
    kind: "change",
    verb,
    network: record.network,
    networkType: describeNetwork(record.chain.config).type,
    sandboxId: record.sandbox.id,
    ifName: record.ifName,
  });
  return {
    attach: (intent) => observe(telemetry, changeOf("attach", intent), () => applier.attach(intent)),
    detach: (record) => observe(telemetry, changeOf("detach", record), () => applier.detach(record)),
    undo: (record) => observe(telemetry, changeOf("undo", record), () => applier.undo(record)),
  };
}

/** How many records are in which state; none is 0, so that a graph shows it. */
export function countStates(records: readonly AttachmentRecord[]): ReadonlyMap<AttachmentState, number> {
  const counts = new Map<AttachmentState, number>([
    ["attaching", 0],
    ["attached", 0],
    ["detaching", 0],
    ["failed", 0],
    ["waiting", 0],
  ]);
  for (const { state } of records) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}
