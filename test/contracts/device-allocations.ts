import { expect, test } from "vitest";
import type { DeviceAllocations } from "../../src/devices/contract.ts";

const { signal } = new AbortController();

/** A kubelet that gave nobody anything, and a hand that lets it. */
export interface DevicesWorld extends AsyncDisposable {
  readonly devices: DeviceAllocations;
  /** Two namespaces for pods. */
  readonly namespaces: readonly [string, string];
  /** To the pod `namespace/name`; the devices' IDs are the world's choice. */
  allocate(pod: string, count: number): Promise<readonly string[]>;
}

export function deviceAllocationsContract(makeWorld: () => Promise<DevicesWorld>): void {
  test("are all that a pod's containers were given, and nobody else's", async () => {
    await using world = await makeWorld();
    const [namespace, elsewhere] = world.namespaces;
    const own = await world.allocate(`${namespace}/web`, 2);
    const other = await world.allocate(`${elsewhere}/web`, 1);
    expect(new Set([...own, ...other]).size).toBe(3);
    expect(await world.devices.of({ namespace, name: "web" }, signal)).toEqual(new Set(own));
    expect(await world.devices.of({ namespace: elsewhere, name: "web" }, signal)).toEqual(new Set(other));
  });

  test("are none for a pod that was given none, or isn't there", async () => {
    await using world = await makeWorld();
    const [namespace] = world.namespaces;
    await world.allocate(`${namespace}/db`, 1);
    expect(await world.devices.of({ namespace, name: "web" }, signal)).toEqual(new Set());
  });

  test("aren't asked for by who has left", async () => {
    await using world = await makeWorld();
    const pod = { namespace: world.namespaces[0], name: "web" };
    await expect(world.devices.of(pod, AbortSignal.abort())).rejects.toMatchObject({ reason: "CANCELED" });
  });
}
