import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { failure } from "../support/failure.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";

test("a broken network file is told once, by its path, and hides no other network", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("files");
  const target = { kind: "netns", netns: netns.path } as const;
  const broken = join(node.networks, "broken.conflist");
  await writeFile(broken, '{ "cniVersion": "1.0.0", "name": "broken", "plugins": [');
  await writeFile(join(node.networks, "empty.conf"), "");
  await using here = await startAgentHere(node);
  for (const key of ["a", "b"])
    await here.client.attach({ target, network: { name: "blue" }, key }, neverAborted);
  await expect(here.client.attach({ target, network: { name: "broken" } }, neverAborted)).rejects.toEqual(
    failure("INVALID_NETWORK", broken),
  );
  const told = here.log.filter(({ message }) => message === "network file can't be used");
  expect(told.map(({ facts }) => facts["file"])).toEqual([broken, join(node.networks, "empty.conf")]);

  await node.defineNetwork("broken", [node.bridgePlugin()]);
  const repaired = await here.client.attach({ target, network: { name: "broken" } }, neverAborted);
  expect(repaired.interface).toMatchObject({ network: "broken", state: "attached" });
});

test("a network's file that is replaced, added or removed while the agent runs counts from the next request on", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("files");
  const target = { kind: "netns", netns: netns.path } as const;
  await using here = await startAgentHere(node);
  const attach = (name: string, key: string) =>
    here.client.attach({ target, network: { name }, key }, neverAborted);

  expect((await attach("blue", "before")).interface.mtu).toBe(1500);
  await node.defineNetwork("blue", [node.bridgePlugin({ mtu: 1400 })]);
  expect((await attach("blue", "rewritten")).interface.mtu).toBe(1400);

  await node.defineNetwork("next", [node.bridgePlugin({ mtu: 1300 })], { name: "blue" });
  await rename(join(node.networks, "next.conflist"), join(node.networks, "blue.conflist"));
  expect((await attach("blue", "replaced")).interface.mtu).toBe(1300);

  await expect(attach("red", "early")).rejects.toEqual(failure("NETWORK_NOT_FOUND", "red"));
  await node.defineNetwork("red", [node.bridgePlugin()]);
  expect((await attach("red", "added")).created).toBe(true);
  await rm(join(node.networks, "red.conflist"));
  await expect(attach("red", "late")).rejects.toEqual(failure("NETWORK_NOT_FOUND", "red"));

  for (const view of await here.client.list({ target }, neverAborted)) {
    const which = { by: "id", attachmentId: view.attachmentId } as const;
    expect(await here.client.detach({ which }, neverAborted)).toMatchObject({ detached: true });
  }
  expect(await node.leases()).toEqual([]);
});

test("a network named beside its file's own name is found by the name inside", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("files");
  const target = { kind: "netns", netns: netns.path } as const;
  await node.defineNetwork("10-file", [node.bridgePlugin()], { name: "inside" });
  await using here = await startAgentHere(node);
  await expect(here.client.attach({ target, network: { name: "10-file" } }, neverAborted)).rejects.toEqual(
    failure("NETWORK_NOT_FOUND"),
  );
  const { interface: attached } = await here.client.attach(
    { target, network: { name: "inside" } },
    neverAborted,
  );
  expect(attached.network).toBe("inside");
});
