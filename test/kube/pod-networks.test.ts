import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { openCluster } from "../../src/kube/cluster.ts";
import { networkStatusAnnotation, networksAnnotation } from "../../src/kube/contract.ts";
import { addNetwork, readNetworkName, removeNetwork } from "../../src/kube/edit-networks.ts";
import { createPodNetworks } from "../../src/kube/pod-networks.ts";
import { failure } from "../support/failure.ts";
import { createClusterWorld, podPath } from "./cluster-world.ts";

const { signal } = new AbortController();
const pod = { namespace: "demo", name: "web" };

const added = (text: string | undefined, network: string): string =>
  addNetwork(text, readNetworkName(network), "demo");
const removed = (text: string | undefined, network: string): string | undefined =>
  removeNetwork(text, readNetworkName(network), "demo");

test.each([
  [undefined, "net-a", "net-a"],
  ["  ", "net-a@data0", "net-a@data0"],
  ["net-a", "net-a@data0", "net-a,net-a@data0"],
  ["net-a , infra/net-b@x1", "other/net-a", "net-a , infra/net-b@x1,other/net-a"],
  ["[]", "net-a", '[{"name":"net-a"}]'],
  [
    '[\n  {"name": "net-a", "mac": "02:00:00:00:00:01", "theirs": {"n": 10000000000000000001}}\n]',
    "infra/net-a@data0",
    '[\n  {"name": "net-a", "mac": "02:00:00:00:00:01", "theirs": {"n": 10000000000000000001}},{"name":"net-a","namespace":"infra","interface":"data0"}]',
  ],
])("to %j, %s is added in the form that is there, and the rest stays as it is", (before, network, after) => {
  expect(added(before, network)).toBe(after);
});

test.each([
  ["net-a", "net-a", ""],
  ["net-a, net-b@x1 ,net-a@data0", "net-a@data0", "net-a, net-b@x1 "],
  ["demo/net-a,net-b", "net-a", "net-b"],
  ['[{"name":"net-a"},{"name":"net-b","theirs":1}]', "demo/net-a", '[{"name":"net-b","theirs":1}]'],
  ['[\n  {"name": "net-a"}\n]', "net-a", "[]"],
  [
    '[\n\t{"name": "net-a"},\n\t{"name": "net-b", "theirs": [{"],": 12345678901234567890}, "\\","]}\n]',
    "net-a",
    '[\n\t{"name": "net-b", "theirs": [{"],": 12345678901234567890}, "\\","]}\n]',
  ],
  [
    '[{"name":"net-b","theirs":[1,{"n":1.0}]} , {"name":"net-a"},{"name":"net-c"}]',
    "net-a",
    '[{"name":"net-b","theirs":[1,{"n":1.0}]} ,{"name":"net-c"}]',
  ],
  ["net-a", "net-b", undefined],
  ["net-a", "net-a@data0", undefined],
  [undefined, "net-a", undefined],
])("from %j, %s is taken away, and the rest stays as it is", (before, network, after) => {
  expect(removed(before, network)).toBe(after);
});

test.each([
  ["net-a", "net-a", "INTERFACE_IN_USE"],
  ['[{"name":"net-a","namespace":"demo"}]', "net-a", "INTERFACE_IN_USE"],
  ["net-b@data0", "net-a@data0", "INTERFACE_IN_USE"],
  ["net-a@@", "net-b", "INVALID_SELECTION"],
  ['[{"name":', "net-b", "INVALID_SELECTION"],
  ['[{"name":"net-a","mac":"nonsense"}]', "net-b", "INVALID_SELECTION"],
] as const)("to %j, adding %s is %s", (before, network, reason) => {
  expect(() => added(before, network)).toThrow(expect.objectContaining({ reason }) as Error);
});

test("a network that is asked for twice is only taken away by its interface's name", () => {
  const twice = "net-a@x1,net-a@x2";
  expect(() => removed(twice, "net-a")).toThrow(
    expect.objectContaining({ reason: "INVALID_REQUEST" }) as Error,
  );
  expect(removed(twice, "net-a@x2")).toBe("net-a@x1");
});

test.each(["", "a,b", "a/b/c", "Net", "net@toolonganinterface", '[{"name":"a"}]', "net-a@lo"])(
  "%j names no network",
  (text) => {
    expect(() => readNetworkName(text)).toThrow(
      expect.objectContaining({ reason: "INVALID_SELECTION" }) as Error,
    );
  },
);

async function createWorld() {
  const world = await createClusterWorld();
  onTestFinished(() => world[Symbol.asyncDispose]());
  const cluster = await openCluster({ kind: "kubeconfig", path: await world.writeKubeconfig() }, systemClock);
  onTestFinished(() => cluster[Symbol.dispose]());
  const annotations = () => world.server.get(podPath("demo/web"))?.metadata.annotations;
  return { ...world, networks: createPodNetworks(cluster), annotations };
}

test("an annotation is made where there was none, edited where there is one, and followed by the status", async () => {
  const { networks, annotations, setPod } = await createWorld();
  setPod("demo/web", { annotations: { theirs: "stays" } });
  const edited = await networks.edit({ kind: "add", pod, network: "net-a" }, signal);
  expect(annotations()).toEqual({ theirs: "stays", [networksAnnotation]: "net-a" });
  expect(edited.changed).toBe(true);
  expect(await edited.isFollowed(signal)).toBe(false);
  const status = JSON.stringify([{ name: "demo/net-a", interface: "net1" }]);
  setPod("demo/web", { annotations: { ...annotations(), [networkStatusAnnotation]: status } });
  expect(await edited.isFollowed(signal)).toBe(true);
  const gone = await networks.edit({ kind: "del", pod, network: "net-a" }, signal);
  expect(annotations()?.[networksAnnotation]).toBe("");
  expect(await gone.isFollowed(signal)).toBe(false);
  setPod("demo/web", { annotations: { ...annotations(), [networkStatusAnnotation]: "[]" } });
  expect(await gone.isFollowed(signal)).toBe(true);
  const again = await networks.edit({ kind: "del", pod, network: "net-a" }, signal);
  expect(again.changed).toBe(false);
});

test("what somebody else writes in the same moment stays, and the edit is made to it", async () => {
  const { networks, annotations, setPod, server } = await createWorld();
  setPod("demo/web", { annotations: { [networksAnnotation]: "net-a" } });
  server.trick(/^PATCH .*\/pods\/web$/, (_request, response) => {
    setPod("demo/web", { annotations: { [networksAnnotation]: "net-a,net-b" } });
    response.writeHead(422, { "content-type": "application/json" });
    response.end(JSON.stringify({ message: "testing value failed" }));
  });
  await networks.edit({ kind: "add", pod, network: "net-c" }, signal);
  expect(annotations()).toEqual({ [networksAnnotation]: "net-a,net-b,net-c" });
});

test("a pod that isn't there is TARGET_NOT_FOUND, and what may not be patched is DENIED", async () => {
  const { networks, setPod, server } = await createWorld();
  const edit = () => networks.edit({ kind: "add", pod, network: "net-a" }, signal);
  await expect(edit()).rejects.toEqual(failure("TARGET_NOT_FOUND", "demo/web"));
  setPod("demo/web");
  server.trick(/^PATCH /, (_request, response) => {
    response.writeHead(403, { "content-type": "application/json" });
    response.end(JSON.stringify({ message: 'User "dana" cannot patch resource "pods"' }));
  });
  await expect(edit()).rejects.toEqual(failure("DENIED", "cannot patch"));
});
