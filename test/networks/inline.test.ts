import { expect, test } from "vitest";
import { createInlineCatalog } from "../../src/networks/inline.ts";
import { failure } from "../support/failure.ts";

const { signal } = new AbortController();
const catalog = createInlineCatalog();

async function find(config: unknown): Promise<{ readonly displayName: string; readonly list: unknown }> {
  const found = await catalog.find({ config: JSON.stringify(config) }, "demo", signal);
  expect(found.source).toBe("inline");
  return { displayName: found.displayName, list: JSON.parse(found.config) };
}

test("a list is taken as it is and called by its own name", async () => {
  const list = { cniVersion: "1.0.0", name: "blue", plugins: [{ type: "bridge", mine: { a: [1] } }] };
  expect(await find(list)).toEqual({ displayName: "blue", list });
});

test("a single plugin's configuration becomes a list of one", async () => {
  expect(await find({ cniVersion: "0.4.0", name: "blue", type: "macvlan", master: "eth0" })).toMatchObject({
    displayName: "blue",
    list: { cniVersion: "0.4.0", name: "blue", plugins: [{ type: "macvlan", master: "eth0" }] },
  });
});

test("one without a name, without plugins, or that isn't JSON is INVALID_NETWORK", async () => {
  const plugins = [{ type: "bridge" }];
  for (const config of [
    { plugins },
    { name: "blue" },
    { name: "blue", plugins: [] },
    { name: "a/b", plugins },
    [],
  ]) {
    await expect(find(config)).rejects.toEqual(failure("INVALID_NETWORK", "the inline configuration"));
  }
  await expect(catalog.find({ config: "{" }, "demo", signal)).rejects.toEqual(failure("INVALID_NETWORK"));
});

test("a selection without one is NETWORK_NOT_FOUND", async () => {
  await expect(catalog.find({ name: "blue" }, "demo", signal)).rejects.toEqual(failure("NETWORK_NOT_FOUND"));
});

test("nothing is read once the caller has gone", async () => {
  await expect(catalog.find({ config: "{}" }, "demo", AbortSignal.abort())).rejects.toEqual(
    failure("CANCELED"),
  );
});
