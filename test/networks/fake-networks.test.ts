import { describe, expect, test } from "vitest";
import {
  type NetworkCatalogWorld,
  namespacedCatalogContract,
  networkCatalogContract,
} from "../contracts/network-catalog.ts";
import { createFakeNetworks } from "../fakes/fake-networks.ts";

const { signal } = new AbortController();

function makeWorld(place: { readonly namespace?: string }): NetworkCatalogWorld {
  const catalog = createFakeNetworks();
  return {
    catalog,
    source: "netAttachDef",
    namespace: place.namespace,
    define: async (name, config) => void catalog.define(name, { ...place, config }),
    breakDefinition: async (name) => catalog.breakNetwork(name, place),
    remove: async (name) => catalog.remove(name, place),
    async [Symbol.asyncDispose]() {},
  };
}

describe("the fake catalog finds as a real one, with namespaces", () => {
  networkCatalogContract(async () => makeWorld({ namespace: "demo" }));
  namespacedCatalogContract(async () => ({ ...makeWorld({ namespace: "demo" }), namespace: "demo" }));
});

describe("the fake catalog finds as a real one, without namespaces", () => {
  networkCatalogContract(async () => makeWorld({}));
});

test("the fake catalog gives an inline configuration back", async () => {
  const config = '{"name":"inline","plugins":[{"type":"bridge"}]}';
  expect(await createFakeNetworks().find({ config }, undefined, signal)).toEqual({
    displayName: "inline",
    source: "inline",
    config,
  });
});
