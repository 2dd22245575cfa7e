import fc from "fast-check";
import { expect } from "vitest";
import { failureOf } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { during, fault } from "./faults.ts";
import {
  addForeign,
  moveBare,
  removeByHand,
  removeForeign,
  renameBack,
  renameByHand,
  renew,
  restart,
} from "./happenings.ts";
import {
  type AttachAct,
  type DetachAct,
  expectAttach,
  expectDetach,
  heldIn,
  type Model,
  places,
  renamed,
} from "./model.ts";
import type { Fault, ModelNode } from "./node.ts";
import { requireAllowed, settleAct } from "./outcomes.ts";
import { requireTruth } from "./truth.ts";

type Command = fc.AsyncCommand<Model, ModelNode>;

const place = fc.constantFrom(...places);
const caller = fc.constantFrom("alice", "bob", "controller" as const);
const network = fc.constantFrom("blue", "green" as const);
const ifName = fc.constantFrom("net1", "net2", "net3");

const attach = fc
  .tuple(
    fc.record(
      {
        place,
        caller,
        network,
        interface: ifName,
        key: fc.constantFrom("one", "two"),
        replace: fc.boolean(),
        defaultRoute: fc.boolean(),
      },
      { requiredKeys: ["place", "caller", "network", "replace", "defaultRoute"] },
    ),
    fault,
  )
  .map(([act, what]) => attachCommand(act, what));

const detach = fc
  .tuple(
    fc.record({
      place,
      caller,
      which: fc.oneof(
        ifName.map((name) => ({ by: "interface", interface: name }) as const),
        fc
          .constantFrom("eth0", renamed("net1"))
          .map((name) => ({ by: "interface", interface: name }) as const),
        network.map((name) => ({ by: "network", network: name }) as const),
        fc.nat(2).map((nth) => ({ by: "id", nth }) as const),
      ),
      force: fc.boolean(),
    }),
    fault,
  )
  .map(([act, what]) => detachCommand(act, what));

/** One thing after the other that may happen on a node. */
export const commands = fc.commands<Model, ModelNode, false>(
  [
    attach,
    attach,
    attach,
    detach,
    detach,
    fc.tuple(place, fc.nat(2)).map(([where, nth]) => renameByHand(where, nth)),
    fc.tuple(place, fc.nat(2)).map(([where, nth]) => renameBack(where, nth)),
    fc.tuple(place, fc.nat(2)).map(([where, nth]) => removeByHand(where, nth)),
    fc.tuple(place, ifName).map(([where, name]) => addForeign(where, name)),
    fc.tuple(place, ifName).map(([where, name]) => removeForeign(where, name)),
    fc
      .tuple(place, fc.constantFrom("replaced", "deleted" as const), fault)
      .map(([where, how, what]) => renew(where, how, what)),
    fc.constant(moveBare()),
    fc.constant(restart()),
  ],
  { maxCommands: 20, size: "max" },
);

function attachCommand(act: AttachAct, what: Fault): Command {
  const { replace, defaultRoute, key } = act;
  const words = [
    `${act.caller} attaches ${act.network}${act.interface === undefined ? "" : ` as ${act.interface}`} in ${act.place}`,
    key !== undefined && `by key ${key}`,
    defaultRoute && "with the default route",
    replace && "replacing what is there",
    during(what),
  ];
  return {
    check: () => true,
    toString: () => words.filter(Boolean).join(", "),
    async run(model, node) {
      const expected = expectAttach(model, act);
      const target = node.targetOf(act.place);
      const selection = {
        name: act.network,
        interface: act.interface,
        ...(defaultRoute && { defaultRoute: { gateways: ["10.9.0.1"] } }),
      };
      const owner = act.caller === "controller" ? "annotation/npwg" : undefined;
      const ending = await node.endure(what, () =>
        node.api(act.caller).attach({ target, network: selection, owner, key, replace }, neverAborted),
      );
      if (ending.kind === "answered") {
        const { created, interface: answered } = ending.answer;
        requireAllowed(expected, ["exists", "create", "replace"], "it answered");
        expect(created, "created").toBe(expected.step !== "exists");
        if (expected.step === "create") expect(answered.name).toBe(expected.ifName);
        if (expected.step === "exists") expect(answered.attachmentId).toBe(expected.held.id);
      }
      requireReason(expected, what, ending);
      await settleAct(model, node, { expected, ending: ending.kind, fault: what, act });
      await requireTruth(model, node);
    },
  };
}

function detachCommand(act: DetachAct, what: Fault): Command {
  const { which, force } = act;
  const name =
    which.by === "interface"
      ? which.interface
      : which.by === "network"
        ? `network ${which.network}`
        : `attachment ${which.nth} by its ID`;
  const words = [`${act.caller} detaches ${name} in ${act.place}`, force && "by force", during(what)];
  return {
    check: (model) => which.by !== "id" || heldIn(model, act.place).length > which.nth,
    toString: () => words.filter(Boolean).join(", "),
    async run(model, node) {
      const expected = expectDetach(model, act);
      const target = node.targetOf(act.place);
      const choice =
        which.by === "id"
          ? ({ by: "id", attachmentId: heldIn(model, act.place)[which.nth]?.id ?? "" } as const)
          : which;
      const ending = await node.endure(what, () =>
        node.api(act.caller).detach({ target, which: choice, force }, neverAborted),
      );
      if (ending.kind === "answered") {
        requireAllowed(expected, ["remove", "nothing"], "it answered");
        expect(ending.answer.detached, "detached").toBe(expected.step === "remove");
      }
      requireReason(expected, what, ending);
      await settleAct(model, node, { expected, ending: ending.kind, fault: what });
      await requireTruth(model, node);
    },
  };
}

/** A refusal names its reason, and nothing fails without a cause. */
function requireReason(
  expected: ReturnType<typeof expectAttach>,
  what: Fault,
  ending: { readonly kind: string; readonly error?: unknown },
): void {
  if (ending.kind !== "failed") return;
  const { reason, message } = failureOf(ending.error);
  const causes = [
    ...(expected.step === "refused" ? [expected.reason] : []),
    ...(expected.step === "owe" ? ["INTERFACE_LEFT"] : []),
    ...(expected.step === "replace-blocked" ? ["INTERFACE_IN_USE"] : []),
    ...(what.kind === "plugins" ? ["PLUGIN_FAILED"] : []),
    ...(what.kind === "disk-full" ? ["JOURNAL_FAILED"] : []),
  ];
  expect(causes, message).toContain(reason);
}
