import { expect, test } from "vitest";
import { neverAborted as untilDone } from "../../src/domain/signals.ts";
import { createExecutorByMaker } from "../../src/executor/by-maker.ts";
import type { CniAttachment } from "../../src/executor/contract.ts";
import { createFakeExecutor } from "../fakes/fake-executor.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";

test("each verb of an attachment is its maker's, and what nobody made is the first one's", async () => {
  const kernel = createFakeInterfaces();
  kernel.addNetns("/run/netns/a");
  const [direct, multus] = ["direct", "multus"].map((name) => ({ ...createFakeExecutor(kernel), name }));
  if (!direct || !multus) throw new Error("there are two");
  multus.daemons.push("multus");
  const executor = createExecutorByMaker(multus, [direct, multus]);
  const attachment = (ifName: string, maker: string): CniAttachment => ({
    executor: maker,
    containerId: "c",
    ifName,
    netnsPath: "/run/netns/a",
    networkName: "blue",
    config: "{}",
    cniArgs: [],
    capabilityArgs: {},
  });
  expect(executor.name).toBe("multus");
  expect(executor.daemons).toEqual(["multus"]);
  const result = await executor.add(attachment("net1", "multus"), untilDone);
  await executor.check(attachment("net1", "multus"), result, untilDone);
  for (const maker of ["direct", "a-later-one"]) {
    await executor.del(attachment("net2", maker), undefined, untilDone);
    // As healing does: another executor may drop what the first one passed on.
    await executor.add(attachment("net2", maker), untilDone);
    await executor.del(attachment("net2", maker), undefined, untilDone);
  }
  expect(multus.runs).toEqual(["ADD net1", "CHECK net1"]);
  expect(direct.runs).toEqual(["DEL net2", "ADD net2", "DEL net2", "DEL net2", "ADD net2", "DEL net2"]);
});
