import fc from "fast-check";
import { expect } from "vitest";
import { failureOf } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import {
  type AttachAct,
  type DetachAct,
  expectAttach,
  expectDetach,
  heldIn,
  linksIn,
  type Model,
  type Place,
  places,
  renamed,
} from "./model.ts";
import type { Fault, ModelNode } from "./node.ts";
import { requireAllowed, settleAct, settleRenewal } from "./outcomes.ts";
import { requireTruth } from "./truth.ts";

type Command = fc.AsyncCommand<Model, ModelNode>;

const place = fc.constantFrom(...places);
const caller = fc.constantFrom("alice", "bob", "controller" as const);
const network = fc.constantFrom("blue", "green" as const);
const ifName = fc.constantFrom("net1", "net2", "net3");

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ kind: "none" } as const) },
  {
    weight: 4,
    arbitrary: fc.integer({ min: 1, max: 30 }).map((atCall) => ({ kind: "killed", atCall }) as const),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({
        add: fc.option(fc.nat(2), { nil: undefined }),
        del: fc.option(fc.nat(2), { nil: undefined }),
      })
      .map((verbs) => ({ kind: "plugins", ...verbs }) as const),
  },
  {
    weight: 1,
    arbitrary: fc.nat(8).map((fromStep) => ({ kind: "disk-full", fromStep }) as const),
  },
);

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

function during(what: Fault): string | undefined {
  switch (what.kind) {
    case "none":
      return undefined;
    case "killed":
      return `killed at call ${what.atCall}`;
    case "plugins": {
      const verbs = (["add", "del"] as const).filter((verb) => what[verb] !== undefined);
      return verbs
        .map((verb) => `while ${verb.toUpperCase()} fails after ${what[verb]} of its steps`)
        .join(" and ");
    }
    case "disk-full":
      return `while the disk is full from step ${what.fromStep} on`;
  }
}

/** Something that is done to the node, not asked of podplug; then everything comes to rest. */
function happening(
  text: string,
  check: (model: Model) => boolean,
  happen: (model: Model, node: ModelNode) => Promise<void>,
): Command {
  return {
    check,
    toString: () => text,
    async run(model, node) {
      await happen(model, node);
      await requireTruth(model, node);
    },
  };
}

function renameByHand(where: Place, nth: number): Command {
  return happening(
    `somebody renames attachment ${nth} in ${where}`,
    (model) => heldIn(model, where)[nth]?.damage === "none",
    async (model, node) => {
      const held = heldIn(model, where)[nth];
      if (!held) return;
      const { netnsPath } = await node.sandboxOf(where);
      node.interfaces.changeLink(netnsPath, held.ifName, { name: renamed(held.ifName) });
      model.held = model.held.map((each) => (each === held ? { ...held, damage: "renamed" } : each));
    },
  );
}

function renameBack(where: Place, nth: number): Command {
  return happening(
    `somebody gives attachment ${nth} in ${where} its name back`,
    (model) => {
      const held = heldIn(model, where)[nth];
      return held?.damage === "renamed" && !linksIn(model, where).includes(held.ifName);
    },
    async (model, node) => {
      const held = heldIn(model, where)[nth];
      if (!held) return;
      const { netnsPath } = await node.sandboxOf(where);
      node.interfaces.changeLink(netnsPath, renamed(held.ifName), { name: held.ifName });
      await node.endure({ kind: "none" }, async () => undefined);
      // The DEL that was owed can run now.
      model.held = model.held.flatMap((each) => {
        if (each !== held) return [each];
        return held.owed ? [] : [{ ...held, damage: "none" }];
      });
    },
  );
}

function removeByHand(where: Place, nth: number): Command {
  return happening(
    `somebody removes the link of attachment ${nth} in ${where}`,
    (model) => (heldIn(model, where)[nth]?.damage ?? "lost") !== "lost",
    async (model, node) => {
      const held = heldIn(model, where)[nth];
      if (!held) return;
      const { netnsPath } = await node.sandboxOf(where);
      node.interfaces.removeLink(netnsPath, held.damage === "renamed" ? renamed(held.ifName) : held.ifName);
      await node.endure({ kind: "none" }, async () => undefined);
      model.held = model.held.flatMap((each) => {
        if (each !== held) return [each];
        return held.owed ? [] : [{ ...held, damage: "lost" }];
      });
    },
  );
}

function addForeign(where: Place, name: string): Command {
  return happening(
    `somebody makes a link ${name} in ${where}`,
    (model) => !linksIn(model, where).includes(name),
    async (model, node) => {
      const { netnsPath } = await node.sandboxOf(where);
      node.interfaces.addLink(netnsPath, { name });
      model.foreign = [...model.foreign, `${where} ${name}`];
    },
  );
}

function removeForeign(where: Place, name: string): Command {
  return happening(
    `somebody removes their link ${name} in ${where}`,
    (model) => model.foreign.includes(`${where} ${name}`),
    async (model, node) => {
      const { netnsPath } = await node.sandboxOf(where);
      node.interfaces.removeLink(netnsPath, name);
      model.foreign = model.foreign.filter((each) => each !== `${where} ${name}`);
    },
  );
}

function renew(where: Place, how: "replaced" | "deleted", what: Fault): Command {
  const text = where === "bare" ? `another namespace comes under the path of ${where}` : `${where} is ${how}`;
  return happening(
    [text, during(what)].filter(Boolean).join(", "),
    () => true,
    async (model, node) => {
      await node.renew(where, how);
      await node.endure(what, () => node.sweep());
      await settleRenewal(model, node, where, how);
    },
  );
}

function moveBare(): Command {
  return happening(
    "the bare namespace gets another path",
    () => true,
    async (_model, node) => {
      node.moveBare();
      await node.endure({ kind: "none" }, async () => undefined);
    },
  );
}

function restart(): Command {
  return happening(
    "the agent is killed while nothing happens",
    () => true,
    (_model, node) => node.restart(),
  );
}
