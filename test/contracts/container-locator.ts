import { expect, test } from "vitest";
import type { Target } from "../../src/domain/target.ts";
import type { InterfaceReader } from "../../src/interfaces/contract.ts";
import type { SandboxLocator } from "../../src/sandbox/contract.ts";
import { failure } from "../support/failure.ts";

export interface ContainerWorld extends AsyncDisposable {
  readonly locator: SandboxLocator;
  /** Looks into the same namespaces. */
  readonly interfaces: InterfaceReader;
  readonly containers: ContainerHand;
}

/** Starts and ends containers behind the locator's back. */
interface ContainerHand {
  /** Runs one; `networkMode` as Docker has it: `none`, `host`, `container:ID`. */
  add(networkMode: string): Promise<{ readonly id: string; readonly name: string }>;
  stop(id: string): Promise<void>;
  /** The same container, in a new namespace. */
  restart(id: string): Promise<void>;
}

const { signal } = new AbortController();
const container = (containerId: string): Target => ({ kind: "container", containerId });

/** For a locator whose runtime knows containers that belong to no pod. */
export function containerLocatorContract(makeWorld: () => Promise<ContainerWorld>): void {
  test("is located by its ID and by its name, without network too, and belongs to no pod", async () => {
    await using world = await makeWorld();
    const { id, name } = await world.containers.add("none");
    const sandbox = await world.locator.locate(container(id), signal);
    expect(sandbox).toEqual({
      id,
      netnsPath: sandbox.netnsPath,
      netns: await world.interfaces.identify(sandbox.netnsPath, signal),
    });
    expect(await world.locator.locate(container(name), signal)).toEqual(sandbox);
    expect(await world.locator.list(signal)).toEqual([sandbox]);
  });

  test("in another's network leads to the one that owns it, and isn't listed beside it", async () => {
    await using world = await makeWorld();
    const owner = await world.containers.add("none");
    const guest = await world.containers.add(`container:${owner.id}`);
    const sandbox = await world.locator.locate(container(owner.id), signal);
    expect(await world.locator.locate(container(guest.name), signal)).toEqual(sandbox);
    expect(await world.locator.list(signal)).toEqual([sandbox]);
    await world.containers.stop(owner.id);
    await expect(world.locator.locate(container(guest.id), signal)).rejects.toEqual(
      failure("SANDBOX_NOT_READY"),
    );
  });

  test("that is stopped is SANDBOX_NOT_READY, and located in its new namespace once it runs again", async () => {
    await using world = await makeWorld();
    const { id } = await world.containers.add("none");
    const before = await world.locator.locate(container(id), signal);
    await world.containers.stop(id);
    await expect(world.locator.locate(container(id), signal)).rejects.toEqual(failure("SANDBOX_NOT_READY"));
    expect(await world.locator.list(signal)).toEqual([]);
    await world.containers.restart(id);
    const after = await world.locator.locate(container(id), signal);
    expect(after.id).toBe(before.id);
    expect(after.netns).not.toEqual(before.netns);
    expect(await world.locator.list(signal)).toEqual([after]);
  });

  test("on the node's own network is refused, and not listed", async () => {
    await using world = await makeWorld();
    const { id } = await world.containers.add("host");
    await expect(world.locator.locate(container(id), signal)).rejects.toEqual(failure("HOST_NETWORK", id));
    expect(await world.locator.list(signal)).toEqual([]);
  });
}
