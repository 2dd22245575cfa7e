import { expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { createCatalogs } from "../../src/networks/catalogs.ts";
import type { NetworkCatalog } from "../../src/networks/contract.ts";
import { createInlineCatalog } from "../../src/networks/inline.ts";
import { createFakeNetworks, type FakeNetworks } from "../fakes/fake-networks.ts";
import { failure } from "../support/failure.ts";

const { signal } = new AbortController();

function setUp(): { catalog: NetworkCatalog; nads: FakeNetworks; files: FakeNetworks } {
  const nads = createFakeNetworks("netAttachDef");
  const files = createFakeNetworks("directory");
  const catalog = createCatalogs([
    { source: "netAttachDef", catalog: nads },
    { source: "directory", catalog: files },
    { source: "inline", catalog: createInlineCatalog() },
  ]);
  return { catalog, nads, files };
}

test("a name is looked up in the configured order", async () => {
  const { catalog, nads, files } = setUp();
  files.define("blue");
  expect(await catalog.find({ name: "blue" }, "demo", signal)).toMatchObject({ source: "directory" });
  nads.define("blue", { namespace: "demo" });
  expect(await catalog.find({ name: "blue" }, "demo", signal)).toMatchObject({ source: "netAttachDef" });
});

test("a selection's own source is the only one searched", async () => {
  const { catalog, nads, files } = setUp();
  nads.define("blue");
  files.define("blue");
  nads.define("red");
  expect(await catalog.find({ name: "blue", source: "directory" }, "demo", signal)).toMatchObject({
    source: "directory",
  });
  await expect(catalog.find({ name: "red", source: "directory" }, "demo", signal)).rejects.toEqual(
    failure("NETWORK_NOT_FOUND"),
  );
});

test("a source that isn't configured is UNSUPPORTED, naming those that are", async () => {
  const { catalog } = setUp();
  await expect(catalog.find({ name: "blue", source: "kaloom" }, "demo", signal)).rejects.toMatchObject({
    reason: "UNSUPPORTED",
    message: "source: kaloom isn't configured on this node; configured are: netAttachDef, directory, inline",
  });
});

test("a name that no source has is one NETWORK_NOT_FOUND that names them all", async () => {
  const { catalog } = setUp();
  await expect(catalog.find({ name: "blue", namespace: "demo" }, "web", signal)).rejects.toEqual(
    failure("NETWORK_NOT_FOUND", "network demo/blue isn't in any of netAttachDef, directory"),
  );
});

test("a broken network in an earlier source isn't passed over for a whole one in a later", async () => {
  const { catalog, nads, files } = setUp();
  nads.breakNetwork("blue", { namespace: "demo" });
  files.define("blue");
  await expect(catalog.find({ name: "blue" }, "demo", signal)).rejects.toEqual(failure("INVALID_NETWORK"));
});

test("a source that is away isn't passed over either", async () => {
  const { catalog, nads, files } = setUp();
  nads.failWith(new PodplugError("UNREACHABLE", "the API server is away"));
  files.define("blue");
  await expect(catalog.find({ name: "blue" }, "demo", signal)).rejects.toEqual(failure("UNREACHABLE"));
});

test("an inline configuration goes to the inline source alone", async () => {
  const { catalog, nads } = setUp();
  nads.failWith(new PodplugError("UNREACHABLE", "the API server is away"));
  const config = '{"cniVersion":"1.0.0","name":"own","plugins":[{"type":"bridge"}]}';
  expect(await catalog.find({ config }, "demo", signal)).toMatchObject({
    displayName: "own",
    source: "inline",
  });
});

test("an inline configuration where inline isn't configured is UNSUPPORTED", async () => {
  const catalog = createCatalogs([{ source: "directory", catalog: createFakeNetworks("directory") }]);
  await expect(catalog.find({ config: "{}" }, "demo", signal)).rejects.toEqual(failure("UNSUPPORTED"));
});
