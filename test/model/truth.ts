import { expect } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { heldIn, linksIn, type Model, type Place, places } from "./model.ts";
import type { ModelNode } from "./node.ts";

/** Links, leases, records, default routes and what the API lists agree, and are what they must be. */
export async function requireTruth(model: Model, node: ModelNode): Promise<void> {
  const sandboxes = new Map(
    await Promise.all(places.map(async (place) => [place, await node.sandboxOf(place)] as const)),
  );
  const idOf = (place: Place): string => sandboxes.get(place)?.id ?? "";
  const due = model.held.map(({ place, ifName }) => `${idOf(place)} ${ifName}`).toSorted();
  const records = await node.records();
  expect(records.map(({ sandbox, ifName }) => `${sandbox.id} ${ifName}`).toSorted(), "records").toEqual(due);
  const waiting = model.held.filter(({ damage }) => damage === "waiting");
  const leased = new Set(due).difference(
    new Set(waiting.map(({ place, ifName }) => `${idOf(place)} ${ifName}`)),
  );
  expect(node.executor.leases(), "leases").toEqual([...leased]);
  for (const held of model.held) {
    const record = records.find(
      ({ sandbox, ifName }) => sandbox.id === idOf(held.place) && ifName === held.ifName,
    );
    expect(record?.id, `the ID of ${held.ifName}`).toBe(held.id);
    const state = held.damage === "waiting" ? "waiting" : "attached";
    if (!held.owed) expect(record?.state, `the state of ${held.ifName}`).toBe(state);
  }
  for (const place of places) {
    const path = sandboxes.get(place)?.netnsPath ?? "";
    const names = node.interfaces.links(path).map(({ name }) => name);
    expect(names.toSorted(), `links in ${place}`).toEqual(linksIn(model, place).toSorted());
    requireRoutes(model, node, place, path);
    await requireListed(model, node, place);
  }
}

function requireRoutes(model: Model, node: ModelNode, place: Place, path: string): void {
  const takers = heldIn(model, place).filter(
    ({ defaultRoute, damage }) => defaultRoute && damage !== "waiting",
  );
  const routes = node.interfaces.defaultRoutesOf(path);
  if (takers.length === 0) {
    expect(routes, `default routes in ${place}`).toEqual(place === "bare" ? [] : ["via 10.244.0.1 dev eth0"]);
  } else if (takers.every(({ damage }) => damage === "none")) {
    const theirs = takers.map(({ ifName }) => `via 10.9.0.1 dev ${ifName}`);
    expect(routes, `default routes in ${place}`).toHaveLength(1);
    expect(theirs, `default routes in ${place}`).toContain(routes[0]);
  }
}

async function requireListed(model: Model, node: ModelNode, place: Place): Promise<void> {
  const target = node.targetOf(place);
  const listed = (await node.api("alice").list({ target }, neverAborted))
    .filter(({ attachmentId }) => attachmentId !== "")
    .map(({ attachmentId, state, owner }) => `${attachmentId} ${state} ${owner}`);
  const due = heldIn(model, place)
    .filter(({ owed }) => !owed)
    .map(({ id, damage, caller }) => {
      const owner = caller === "controller" ? "annotation/npwg" : caller;
      const state = { none: "attached", waiting: "waiting", renamed: "failed", lost: "failed" }[damage];
      return `${id} ${state} ${owner}`;
    });
  expect(
    listed.filter((each) => due.some((one) => one.split(" ")[0] === each.split(" ")[0])).toSorted(),
  ).toEqual(due.toSorted());
}
