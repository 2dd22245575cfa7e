import { expect } from "vitest";
import type { AttachmentRecord } from "../../src/attachments/journal.ts";
import { type AttachAct, type Expected, type Held, heldIn, type Model, type Place, places } from "./model.ts";
import type { Fault, ModelNode } from "./node.ts";

/** What has become of the one attachment that an act was about. */
type Fate = "as before" | "new" | "gone" | "owed" | "waiting";

export function requireAllowed(expected: Expected, steps: readonly Expected["step"][], why: string): void {
  expect(steps, `${why}, where ${expected.step} was due`).toContain(expected.step);
}

/** Brings the model to what the act came to, which must be one of what it may come to. */
export async function settleAct(
  model: Model,
  node: ModelNode,
  {
    expected,
    ending,
    fault,
    act,
  }: {
    readonly expected: Expected;
    readonly ending: "answered" | "failed" | "killed";
    readonly fault: Fault;
    readonly act?: AttachAct;
  },
): Promise<void> {
  const before = "held" in expected ? expected.held : undefined;
  const where =
    before ?? (act && expected.step === "create" ? { place: act.place, ifName: expected.ifName } : undefined);
  if (!where) return;
  const record = await recordOf(node, where);
  const fate = fateOf(record, before);
  const isReconcilers = act?.caller === "controller";
  expect(
    allowed(expected.step, { ending, fault, isReconcilers }),
    `what became of ${where.ifName}`,
  ).toContain(fate);
  const others = model.held.filter((each) => each !== before);
  if (fate === "as before") return;
  if (fate === "gone") model.held = others;
  if (fate === "owed" && before) {
    model.held = model.held.map((each) => (each === before ? { ...before, owed: true } : each));
  }
  if (fate === "new" && record && act) model.held = [...others, heldAfter(act, where.ifName, record)];
  if (fate === "waiting" && record && act) {
    model.held = [...others, { ...heldAfter(act, where.ifName, record), damage: "waiting" }];
  }
}

function allowed(
  step: Expected["step"],
  {
    ending,
    fault,
    isReconcilers,
  }: {
    readonly ending: "answered" | "failed" | "killed";
    readonly fault: Fault;
    readonly isReconcilers: boolean;
  },
): readonly Fate[] {
  const undone = ending === "killed" ? ["as before", "gone"] : ["gone"];
  switch (step) {
    case "refused":
    case "nothing":
    case "exists":
      return ["as before"];
    case "create":
      if (ending === "answered") return ["new"];
      return ending === "killed" ? ["new", "gone"] : ["gone"];
    case "replace":
      if (ending === "answered") return ["new"];
      // One that was interrupted is finished: its caller had something before. A reconciler asks again.
      if (ending === "killed" && !isReconcilers) return ["as before", "new"];
      if (ending === "killed" && fault.kind === "killed" && !fault.recovery) return ["as before", "new"];
      return ending === "killed" ? ["as before", "new", "gone"] : ["as before", "gone"];
    case "replace-blocked":
      return ending === "killed" && !isReconcilers ? ["as before", "waiting"] : ["as before", "gone"];
    case "remove":
      if (ending === "answered") return ["gone"];
      return fault.kind === "none" ? (undone as Fate[]) : ["as before", "gone"];
    case "owe":
      return ending === "failed" && fault.kind === "none" ? ["owed"] : ["as before", "owed"];
  }
}

function fateOf(record: AttachmentRecord | undefined, before: Held | undefined): Fate {
  if (!record) return "gone";
  if (record.state === "waiting") return before?.id === record.id ? "as before" : "waiting";
  if (record.state !== "attached") return "owed";
  return record.id === before?.id ? "as before" : "new";
}

function heldAfter(act: AttachAct, ifName: string, record: AttachmentRecord): Held {
  return {
    place: act.place,
    ifName,
    caller: act.caller,
    network: act.network,
    named: act.interface !== undefined,
    key: act.key ?? "",
    defaultRoute: act.defaultRoute,
    id: record.id,
    damage: "none",
    owed: false,
  };
}

async function recordOf(
  node: ModelNode,
  { place, ifName }: Pick<Held, "place" | "ifName">,
): Promise<AttachmentRecord | undefined> {
  const { id } = await node.sandboxOf(place);
  return (await node.records()).find((record) => record.sandbox.id === id && record.ifName === ifName);
}

/** A pod that goes on gets back what others than reconcilers plugged into it, whatever was done to it. */
export async function settleRenewal(
  model: Model,
  node: ModelNode,
  place: Place,
  how: "replaced" | "deleted",
): Promise<void> {
  const outlives = ({ caller, owed }: Held): boolean =>
    place !== "bare" && how === "replaced" && caller !== "controller" && !owed;
  const restored = await Promise.all(
    heldIn(model, place)
      .filter(outlives)
      .map(async (held): Promise<Held> => {
        const record = await recordOf(node, held);
        expect(record?.state, `${held.ifName} in the pod's next sandbox`).toBe("attached");
        return { ...held, damage: "none", id: record?.id ?? "" };
      }),
  );
  model.foreign = model.foreign.filter((each) => !each.startsWith(`${place} `));
  model.held = [
    ...places.filter((each) => each !== place).flatMap((each) => heldIn(model, each)),
    ...restored,
  ];
}
