import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { makeBreakableSocket } from "./support/breakable-socket.ts";
import { useCluster } from "./support/cluster.ts";
import { makePlugWorld, networksAnnotation } from "./support/plug-world.ts";

const cluster = useCluster();

test("a runtime that goes away under a running agent is found again when it is back", async () => {
  const path = join(await cluster.makeFolder(), "cri.sock");
  await using runtime = await makeBreakableSocket(path, cluster.criSocketPath);
  await using world = await makePlugWorld(cluster, { criSocketPath: path });
  for (const network of ["blue", "red"]) await world.define(network);
  const known = await world.startPod("known");
  const gone = await world.startPod("gone-meanwhile");
  for (const pod of [known, gone]) await pod.networks("blue@net1");
  for (const pod of [known, gone]) await pod.holds(["net1 blue"]);

  await runtime.breakOff();
  await known.networks("blue@net1,red@net2");
  const born = await world.startPod("born-meanwhile", { [networksAnnotation]: "red@net1" });
  await cluster.kubectl("-n", world.namespace.name, "delete", "pod", gone.name, "--wait=false");
  await delay(30_000);
  expect((await born.state()).links).toEqual([]);
  await runtime.restore();

  await known.holds(["net1 blue", "net2 red"]);
  await born.holds(["net1 red"]);
  await gone.isForgotten();
  await known.networks(undefined);
  await known.holds([]);
});
