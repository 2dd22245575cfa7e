import { expect, test } from "vitest";
import { isCniName } from "../../src/domain/names.ts";
import type { PodRef } from "../../src/domain/target.ts";
import type { InterfaceReader } from "../../src/interfaces/contract.ts";
import type { SandboxLocator } from "../../src/sandbox/contract.ts";
import { failure } from "../support/failure.ts";

interface SandboxLocatorWorld extends AsyncDisposable {
  readonly locator: SandboxLocator;
  /** Looks into the same namespaces. */
  readonly interfaces: InterfaceReader;
}

export interface NamespaceWorld extends SandboxLocatorWorld {
  readonly namespaces: NamespaceHand;
}

export interface PodWorld extends SandboxLocatorWorld {
  readonly pods: PodHand;
}

/** Makes and removes namespaces that no runtime knows. */
interface NamespaceHand {
  /** Answers two paths to a new one. */
  add(): Promise<readonly [path: string, alias: string]>;
  readonly nothing: string;
  readonly notNamespace: string;
}

/** Starts and ends pods behind the locator's back. */
interface PodHand {
  /** A running pod with one application container. */
  add(pod: PodRef): Promise<{ readonly uid: string; readonly containerId: string }>;
  replaceSandbox(pod: PodRef): Promise<void>;
  /** The pod stays known to the runtime, its sandbox doesn't run. */
  stop(pod: PodRef): Promise<void>;
  remove(pod: PodRef): Promise<void>;
}

const web: PodRef = { namespace: "demo", name: "web" };
const db: PodRef = { namespace: "demo", name: "db" };
const { signal } = new AbortController();

/** For a locator that finds namespaces by their paths. */
export function namespaceLocatorContract(makeWorld: () => Promise<NamespaceWorld>): void {
  test("is located by its path, with its identity and an ID that CNI accepts", async () => {
    await using world = await makeWorld();
    const [path] = await world.namespaces.add();
    const sandbox = await world.locator.locate({ kind: "netns", netns: path }, signal);
    expect(sandbox).toMatchObject({ netnsPath: path, netns: await world.interfaces.identify(path, signal) });
    expect(sandbox.pod).toBeUndefined();
    expect(sandbox.id).toSatisfy(isCniName);
  });

  test("is one sandbox by whichever path, and another than the next one", async () => {
    await using world = await makeWorld();
    const [path, alias] = await world.namespaces.add();
    const [other] = await world.namespaces.add();
    const idOf = async (netns: string): Promise<string> =>
      (await world.locator.locate({ kind: "netns", netns }, signal)).id;
    expect(await idOf(alias)).toBe(await idOf(path));
    expect(await idOf(other)).not.toBe(await idOf(path));
  });

  test("that isn't there is TARGET_NOT_FOUND, another file TARGET_INVALID", async () => {
    await using world = await makeWorld();
    const { nothing, notNamespace } = world.namespaces;
    await expect(world.locator.locate({ kind: "netns", netns: nothing }, signal)).rejects.toEqual(
      failure("TARGET_NOT_FOUND"),
    );
    await expect(world.locator.locate({ kind: "netns", netns: notNamespace }, signal)).rejects.toEqual(
      failure("TARGET_INVALID"),
    );
  });

  test("isn't looked for once the caller has gone", async () => {
    await using world = await makeWorld();
    const [path] = await world.namespaces.add();
    await expect(world.locator.locate({ kind: "netns", netns: path }, AbortSignal.abort())).rejects.toEqual(
      failure("CANCELED"),
    );
    await expect(world.locator.list(AbortSignal.abort())).rejects.toEqual(failure("CANCELED"));
  });
}

/** For a locator whose runtime knows pods and containers. */
export function podLocatorContract(makeWorld: () => Promise<PodWorld>): void {
  test("it says what runs here", async () => {
    await using world = await makeWorld();
    expect(await world.locator.describe(signal)).not.toBe("");
  });

  test("is located by its name, with its UID and its namespace's identity", async () => {
    await using world = await makeWorld();
    const { uid } = await world.pods.add(web);
    const sandbox = await world.locator.locate({ kind: "pod", pod: web }, signal);
    expect(sandbox.pod).toEqual({ ...web, uid });
    expect(sandbox.id).toSatisfy(isCniName);
    expect(sandbox.netns).toEqual(await world.interfaces.identify(sandbox.netnsPath, signal));
  });

  test("is located by the ID of its container and by that of its sandbox", async () => {
    await using world = await makeWorld();
    const { containerId } = await world.pods.add(web);
    await world.pods.add(db);
    const sandbox = await world.locator.locate({ kind: "pod", pod: web }, signal);
    expect(await world.locator.locate({ kind: "container", containerId }, signal)).toEqual(sandbox);
    expect(await world.locator.locate({ kind: "container", containerId: sandbox.id }, signal)).toEqual(
      sandbox,
    );
  });

  test("is located with its own UID, and not with another one", async () => {
    await using world = await makeWorld();
    const { uid } = await world.pods.add(web);
    expect(await world.locator.locate({ kind: "pod", pod: { ...web, uid } }, signal)).toMatchObject({
      pod: { uid },
    });
    await expect(
      world.locator.locate({ kind: "pod", pod: { ...web, uid: "another" } }, signal),
    ).rejects.toEqual(failure("UID_MISMATCH"));
  });

  test("that isn't here is TARGET_NOT_FOUND, and so is an unknown container", async () => {
    await using world = await makeWorld();
    await world.pods.add(db);
    await expect(world.locator.locate({ kind: "pod", pod: web }, signal)).rejects.toEqual(
      failure("TARGET_NOT_FOUND"),
    );
    await expect(
      world.locator.locate({ kind: "container", containerId: "f".repeat(64) }, signal),
    ).rejects.toEqual(failure("TARGET_NOT_FOUND"));
  });

  test("that doesn't run is SANDBOX_NOT_READY, and not listed", async () => {
    await using world = await makeWorld();
    await world.pods.add(web);
    await world.pods.stop(web);
    await expect(world.locator.locate({ kind: "pod", pod: web }, signal)).rejects.toEqual(
      failure("SANDBOX_NOT_READY"),
    );
    expect(await world.locator.list(signal)).toEqual([]);
  });

  test("whose sandbox was replaced is located in the new one alone", async () => {
    await using world = await makeWorld();
    await world.pods.add(web);
    const before = await world.locator.locate({ kind: "pod", pod: web }, signal);
    await world.pods.replaceSandbox(web);
    const after = await world.locator.locate({ kind: "pod", pod: web }, signal);
    expect(after.id).not.toBe(before.id);
    expect(after.netns).not.toEqual(before.netns);
    expect(after.pod).toEqual(before.pod);
    expect(await world.locator.list(signal)).toEqual([after]);
  });

  test("is listed as long as it runs", async () => {
    await using world = await makeWorld();
    expect(await world.locator.list(signal)).toEqual([]);
    await world.pods.add(web);
    await world.pods.add(db);
    const located = await Promise.all(
      [web, db].map((pod) => world.locator.locate({ kind: "pod", pod }, signal)),
    );
    const listed = await world.locator.list(signal);
    expect(listed).toHaveLength(2);
    expect(listed).toEqual(expect.arrayContaining(located));
    await world.pods.remove(web);
    expect(await world.locator.list(signal)).toMatchObject([{ pod: db }]);
  });

  test("is one sandbox by its name and by its namespace's path", async () => {
    await using world = await makeWorld();
    await world.pods.add(db);
    await world.pods.add(web);
    const sandbox = await world.locator.locate({ kind: "pod", pod: web }, signal);
    expect(await world.locator.locate({ kind: "netns", netns: sandbox.netnsPath }, signal)).toEqual(sandbox);
  });

  test("isn't looked for once the caller has gone", async () => {
    await using world = await makeWorld();
    await world.pods.add(web);
    await expect(world.locator.locate({ kind: "pod", pod: web }, AbortSignal.abort())).rejects.toEqual(
      failure("CANCELED"),
    );
    await expect(world.locator.list(AbortSignal.abort())).rejects.toEqual(failure("CANCELED"));
  });
}
