import { expect, test } from "vitest";
import { eventually } from "../../server/eventually.ts";
import { makePodNode } from "../pod-node.ts";

/** What needs somebody is looked at again once a minute, at a definition that is at most five seconds old. */
const correctedMs = 60_000 + 5_000 + 60_000;

test("a definition that is corrected is used without anybody touching the pod, and its plugins don't run before", {
  timeout: 60_000 + correctedMs,
}, async () => {
  await using world = await makePodNode();

  world.define("wrong", [world.node.bridgePlugin()]);
  const pod = await world.startPod(
    "web",
    JSON.stringify([
      { name: "wrong", interface: "net1", mac: "02:00:00:00:00:2a" },
      { name: "blue", interface: "net2" },
    ]),
  );
  await pod.holds(["net2 blue"]);
  const isTold = (): boolean =>
    world.events().some((event) => /^FailedAdding.*CAPABILITY_NOT_DECLARED/.test(event));
  await eventually(isTold, "an event says so");
  expect(await world.node.leases()).toHaveLength(1);
  world.define("wrong", [world.node.bridgePlugin({ capabilities: { mac: true } })]);
  await pod.holds(["net1 wrong", "net2 blue"], correctedMs);
});
