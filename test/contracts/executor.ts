import { expect, test } from "vitest";
import { readNetworkList } from "../../src/cni/network-list.ts";
import type { NetworkSelection } from "../../src/domain/selection.ts";
import { neverAborted as untilDone } from "../../src/domain/signals.ts";
import type { CniAttachment, Executor } from "../../src/executor/contract.ts";
import type { NetworkDefinition } from "../../src/networks/contract.ts";
import { failure } from "../support/failure.ts";

/** What runs an ADD does: it succeeds, fails by a plugin's own word, or never answers. */
export type AddBehaviour = "succeeds" | "fails" | "hangs";

export interface ExecutorWorld {
  readonly executor: Executor;
  /** One that it can plug, with the name it may have. */
  readonly definition: NetworkDefinition;
  readonly ifName: string;
  /** How often something of it ran, beside what asks without changing anything. */
  runs(): Promise<number>;
}

const podArgs = [
  ["IgnoreUnknown", "true"],
  ["K8S_POD_NAMESPACE", "demo"],
  ["K8S_POD_NAME", "web"],
  ["K8S_POD_INFRA_CONTAINER_ID", "c0ffee"],
  ["K8S_POD_UID", "uid-1"],
] as const;

/** What is true of each executor, whoever runs the plugins for it. */
export function executorContract(make: (add: AddBehaviour) => Promise<ExecutorWorld>): void {
  async function prepare(world: ExecutorWorld, selection: NetworkSelection = {}): Promise<CniAttachment> {
    const { executor, definition, ifName } = world;
    const name = definition.displayName.split("/").at(-1);
    const options = { deep: false, attachment: { ifName, cniArgs: podArgs } };
    const prepared = await executor.prepare(definition, { name, ...selection }, options, untilDone);
    const netnsPath = "/run/netns/a";
    return { ...prepared, executor: executor.name, containerId: "c0ffee", ifName, netnsPath };
  }

  test("preparing runs nothing, and gives all that a record needs", async () => {
    const world = await make("succeeds");
    const attachment = await prepare(world);
    expect(readNetworkList(attachment.config, { source: "the record" }).name).toBe(attachment.networkName);
    expect(Object.fromEntries(attachment.cniArgs)).toMatchObject({
      K8S_POD_NAMESPACE: "demo",
      K8S_POD_NAME: "web",
    });
    expect(await world.runs()).toBe(0);
  });

  test("ADD answers in the form of the configuration's version", async () => {
    const world = await make("succeeds");
    const attachment = await prepare(world);
    const { cniVersion } = readNetworkList(attachment.config, { source: "the record" });
    expect(await world.executor.add(attachment, untilDone)).toMatchObject({
      cniVersion,
      interfaces: [{ name: world.ifName }],
    });
    expect(await world.runs()).toBe(1);
  });

  test("CHECK after ADD finds nothing wrong", async () => {
    const world = await make("succeeds");
    const attachment = await prepare(world);
    const result = await world.executor.add(attachment, untilDone);
    await world.executor.check(attachment, result, untilDone);
  });

  test("DEL works from the record: again, without ADD's answer, and without the namespace", async () => {
    const world = await make("succeeds");
    const attachment = await prepare(world);
    const result = await world.executor.add(attachment, untilDone);
    await world.executor.del(attachment, result, untilDone);
    await world.executor.del(attachment, undefined, untilDone);
    await world.executor.del({ ...attachment, netnsPath: undefined }, result, untilDone);
    expect(await world.runs()).toBe(4);
  });

  test("a failed ADD is told with its plugin, and can be undone", async () => {
    const world = await make("fails");
    const attachment = await prepare(world);
    await expect(world.executor.add(attachment, untilDone)).rejects.toMatchObject({
      name: "PodplugError",
      reason: "PLUGIN_FAILED",
      plugin: expect.stringMatching(/./),
    });
    await world.executor.del(attachment, undefined, untilDone);
  });

  test.each<[string, () => Error]>([
    ["PLUGIN_TIMEOUT", () => new DOMException("too late", "TimeoutError")],
    ["CANCELED", () => new Error("the caller left")],
  ])("an ADD that hangs ends with %s when its signal aborts", async (reason, makeCause) => {
    const world = await make("hangs");
    const attachment = await prepare(world);
    const leaving = new AbortController();
    const outcome = world.executor.add(attachment, leaving.signal);
    outcome.catch(() => {});
    await expect.poll(() => world.runs(), { timeout: 60_000 }).toBe(1);
    leaving.abort(makeCause());
    await expect(outcome).rejects.toMatchObject({ name: "PodplugError", reason });
  });

  test.each<NetworkSelection>([
    { bandwidth: { ingressRate: 1000 } },
    { portMappings: [{ hostPort: 80, containerPort: 80 }] },
    { infinibandGuid: "c2:11:22:33:44:55:66:77" },
  ])("what no plugin would get of a selection is refused, not dropped: %j", async (selection) => {
    const world = await make("succeeds");
    await expect(prepare(world, selection)).rejects.toEqual(
      failure(world.executor.name === "direct" ? "CAPABILITY_NOT_DECLARED" : "UNSUPPORTED"),
    );
    expect(await world.runs()).toBe(0);
  });
}
