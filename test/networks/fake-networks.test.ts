import { describe, expect, test } from "vitest";
import { networkCatalogContract } from "../contracts/network-catalog.ts";
import { createFakeNetworks } from "../fakes/fake-networks.ts";

const { signal } = new AbortController();

for (const namespace of ["demo", undefined]) {
  describe(`the fake catalog finds as a real one, ${namespace ? "with" : "without"} namespaces`, () => {
    networkCatalogContract(async () => {
      const catalog = createFakeNetworks();
      const place = namespace === undefined ? {} : { namespace };
      return {
        catalog,
        source: "netAttachDef",
        namespace,
        define: async (name, config) => void catalog.define(name, { ...place, config }),
        breakDefinition: async (name) => catalog.breakNetwork(name, place),
        remove: async (name) => catalog.remove(name, place),
        async [Symbol.asyncDispose]() {},
      };
    });
  });
}

test("the fake catalog gives an inline configuration back", async () => {
  const config = '{"name":"inline","plugins":[{"type":"bridge"}]}';
  expect(await createFakeNetworks().find({ config }, undefined, signal)).toEqual({
    displayName: "inline",
    source: "inline",
    config,
  });
});
