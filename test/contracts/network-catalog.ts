import { expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import type { NetworkSource } from "../../src/domain/selection.ts";
import type { NetworkCatalog } from "../../src/networks/contract.ts";
import { failure } from "../support/failure.ts";

/** An empty catalog, and a hand that changes what is in its store. */
export interface NetworkCatalogWorld extends AsyncDisposable {
  readonly catalog: NetworkCatalog;
  readonly source: NetworkSource;
  /** Where its definitions lie; absent for a source without namespaces. */
  readonly namespace?: string | undefined;
  /** Adds a definition or replaces it. Settles once the catalog can know. */
  define(name: string, config: JsonObject): Promise<void>;
  /** The definition is there, but no CNI configuration. */
  breakDefinition(name: string): Promise<void>;
  remove(name: string): Promise<void>;
}

const { signal } = new AbortController();

function listOf(name: string, type: string): JsonObject {
  return { cniVersion: "1.0.0", name, plugins: [{ type, "example.org/key": { kept: [1, "as it is"] } }] };
}

export function networkCatalogContract(makeWorld: () => Promise<NetworkCatalogWorld>): void {
  test("a network is found by its name, with its whole configuration", async () => {
    await using world = await makeWorld();
    await world.define("blue", listOf("blue", "bridge"));
    await world.define("red", listOf("red", "macvlan"));
    const found = await world.catalog.find({ name: "blue" }, world.namespace, signal);
    expect(found.source).toBe(world.source);
    expect(found.displayName).toBe(world.namespace === undefined ? "blue" : `${world.namespace}/blue`);
    expect(JSON.parse(found.config)).toEqual(listOf("blue", "bridge"));
  });

  test("a name that nobody has is NETWORK_NOT_FOUND, naming it", async () => {
    await using world = await makeWorld();
    await world.define("blue", listOf("blue", "bridge"));
    await expect(world.catalog.find({ name: "green" }, world.namespace, signal)).rejects.toEqual(
      failure("NETWORK_NOT_FOUND", "green"),
    );
  });

  test("a changed definition is what is found next", async () => {
    await using world = await makeWorld();
    await world.define("blue", listOf("blue", "bridge"));
    await world.catalog.find({ name: "blue" }, world.namespace, signal);
    await world.define("blue", listOf("blue", "macvlan"));
    const found = await world.catalog.find({ name: "blue" }, world.namespace, signal);
    expect(JSON.parse(found.config)).toEqual(listOf("blue", "macvlan"));
  });

  test("a removed definition isn't found any more", async () => {
    await using world = await makeWorld();
    await world.define("blue", listOf("blue", "bridge"));
    await world.catalog.find({ name: "blue" }, world.namespace, signal);
    await world.remove("blue");
    await expect(world.catalog.find({ name: "blue" }, world.namespace, signal)).rejects.toEqual(
      failure("NETWORK_NOT_FOUND"),
    );
  });

  test("a broken definition is INVALID_NETWORK, naming it, and hides no other until it is mended", async () => {
    await using world = await makeWorld();
    await world.define("red", listOf("red", "macvlan"));
    await world.breakDefinition("blue");
    await expect(world.catalog.find({ name: "blue" }, world.namespace, signal)).rejects.toEqual(
      failure("INVALID_NETWORK", "blue"),
    );
    expect(await world.catalog.find({ name: "red" }, world.namespace, signal)).toBeDefined();
    await world.define("blue", listOf("blue", "bridge"));
    expect(await world.catalog.find({ name: "blue" }, world.namespace, signal)).toBeDefined();
  });

  test("a selection that names another namespace doesn't find it", async () => {
    await using world = await makeWorld();
    await world.define("blue", listOf("blue", "bridge"));
    await expect(
      world.catalog.find({ name: "blue", namespace: "elsewhere" }, world.namespace, signal),
    ).rejects.toEqual(failure("NETWORK_NOT_FOUND"));
  });

  test("nothing is looked up once the caller has gone", async () => {
    await using world = await makeWorld();
    await world.define("blue", listOf("blue", "bridge"));
    await expect(world.catalog.find({ name: "blue" }, world.namespace, AbortSignal.abort())).rejects.toEqual(
      failure("CANCELED"),
    );
  });
}

/** For a source whose definitions lie in namespaces, beside the other contract. */
export function namespacedCatalogContract(
  makeWorld: () => Promise<NetworkCatalogWorld & { readonly namespace: string }>,
): void {
  test("a namespace in the selection is where it is looked up, wherever the pod is", async () => {
    await using world = await makeWorld();
    const { catalog, namespace } = world;
    await world.define("blue", listOf("blue", "bridge"));
    const displayName = `${namespace}/blue`;
    expect(await catalog.find({ name: "blue", namespace }, "elsewhere", signal)).toMatchObject({
      displayName,
    });
    expect(await catalog.find({ name: "blue", namespace }, undefined, signal)).toMatchObject({ displayName });
  });

  test("without one, a pod of another namespace doesn't find it", async () => {
    await using world = await makeWorld();
    await world.define("blue", listOf("blue", "bridge"));
    await expect(world.catalog.find({ name: "blue" }, "elsewhere", signal)).rejects.toEqual(
      failure("NETWORK_NOT_FOUND"),
    );
  });
}
