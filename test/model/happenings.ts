import type fc from "fast-check";
import { during } from "./faults.ts";
import { heldIn, linksIn, type Model, type Place, renamed } from "./model.ts";
import type { Fault, ModelNode } from "./node.ts";
import { settleRenewal } from "./outcomes.ts";
import { requireTruth } from "./truth.ts";

type Command = fc.AsyncCommand<Model, ModelNode>;

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

export function renameByHand(where: Place, nth: number): Command {
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

export function renameBack(where: Place, nth: number): Command {
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

export function removeByHand(where: Place, nth: number): Command {
  return happening(
    `somebody removes the link of attachment ${nth} in ${where}`,
    (model) => ["none", "renamed"].includes(heldIn(model, where)[nth]?.damage ?? "lost"),
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

export function addForeign(where: Place, name: string): Command {
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

export function removeForeign(where: Place, name: string): Command {
  return happening(
    `somebody removes their link ${name} in ${where}`,
    (model) => model.foreign.includes(`${where} ${name}`),
    async (model, node) => {
      const { netnsPath } = await node.sandboxOf(where);
      node.interfaces.removeLink(netnsPath, name);
      model.foreign = model.foreign.filter((each) => each !== `${where} ${name}`);
      await node.endure({ kind: "none" }, async () => undefined);
      model.held = model.held.map((each) =>
        each.place === where && each.ifName === name && each.damage === "waiting"
          ? { ...each, damage: "none" }
          : each,
      );
    },
  );
}

export function renew(where: Place, how: "replaced" | "deleted", what: Fault): Command {
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

export function moveBare(): Command {
  return happening(
    "the bare namespace gets another path",
    () => true,
    async (_model, node) => {
      node.moveBare();
      await node.endure({ kind: "none" }, async () => undefined);
    },
  );
}

export function restart(): Command {
  return happening(
    "the agent is killed while nothing happens",
    () => true,
    (_model, node) => node.restart(),
  );
}
