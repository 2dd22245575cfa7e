import { expect, test } from "vitest";
import type { InterfaceEvent, NodeApi } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { Target } from "../../src/domain/target.ts";

/**
 * A node with two networks: `blue`, and `green` whose plugin declares the
 * capability `mac`. What it says is compared with what the kernel has.
 */
export interface NodeApiWorld extends AsyncDisposable {
  readonly api: NodeApi;
  /** The same node for a caller of another name. */
  readonly other: NodeApi;
  /** A new target with nothing plugged in. */
  addTarget(): Promise<{ readonly target: Target; linkNames(): Promise<readonly string[]> }>;
  /** How many addresses are leased on the node. */
  leases(): Promise<number>;
}

const mac = "02:00:00:00:00:07";

export function nodeApiContract(make: () => Promise<NodeApiWorld>): void {
  test("an attached network is an interface that list shows with its address, and detach takes it all back", async () => {
    await using world = await make();
    const { target, linkNames } = await world.addTarget();
    const network = { name: "blue", interface: "net1" };
    const attached = await world.api.attach({ target, network }, neverAborted);
    expect(attached).toMatchObject({
      created: true,
      interface: {
        name: "net1",
        network: "blue",
        origin: "podplug",
        state: "attached",
        up: true,
        selection: network,
      },
    });
    expect(attached.interface.ips[0]).toMatch(/^\d+\.\d+\.\d+\.\d+\/\d+$/);
    expect(attached.interface.gateways).toHaveLength(1);
    expect(attached.interface.index).toBeGreaterThan(0);
    expect(attached.interface.attachedAt).toBeInstanceOf(Date);
    expect(await linkNames()).toContain("net1");
    expect(await world.leases()).toBe(1);

    const listed = await world.api.list({ target }, neverAborted);
    expect(listed.find((each) => each.name === "net1")).toEqual(attached.interface);
    expect(await world.api.list({}, neverAborted)).toContainEqual(attached.interface);
    await world.api.check({ target, interface: "net1" }, neverAborted);

    const detached = await world.api.detach(
      { target, which: { by: "interface", interface: "net1" } },
      neverAborted,
    );
    expect(detached).toMatchObject({ detached: true, interface: { name: "net1", network: "blue" } });
    expect(await linkNames()).not.toContain("net1");
    expect(await world.leases()).toBe(0);
    const left = await world.api.list({ target }, neverAborted);
    expect(left.filter((each) => each.origin === "podplug")).toEqual([]);
  });

  test("the same request again answers the same interface", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    const request = { target, network: { name: "blue", interface: "net1" } };
    const first = await world.api.attach(request, neverAborted);
    const again = await world.api.attach(request, neverAborted);
    expect(again).toEqual({ created: false, interface: first.interface });
  });

  test("the same request twice at once makes one interface", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    const request = { target, network: { name: "blue" } };
    const answers = await Promise.all([1, 2, 3].map(() => world.api.attach(request, neverAborted)));
    expect(answers.map((answer) => answer.created).toSorted()).toEqual([false, false, true]);
    expect(new Set(answers.map((answer) => answer.interface.attachmentId)).size).toBe(1);
    expect(await world.leases()).toBe(1);
  });

  test("unnamed selections get the lowest free netN, and one for each key", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    const names = [];
    for (const key of ["a", "b", "c"]) {
      const answer = await world.api.attach({ target, network: { name: "blue" }, key }, neverAborted);
      names.push(answer.interface.name);
    }
    expect(names).toEqual(["net1", "net2", "net3"]);
    await world.api.detach({ target, which: { by: "interface", interface: "net2" } }, neverAborted);
    const again = await world.api.attach({ target, network: { name: "blue" }, key: "d" }, neverAborted);
    expect(again.interface.name).toBe("net2");
    const same = await world.api.attach({ target, network: { name: "blue" }, key: "c" }, neverAborted);
    expect(same).toMatchObject({ created: false, interface: { name: "net3" } });
  });

  test("a taken name with other attributes is refused, and replaced when asked to", async () => {
    await using world = await make();
    const { target, linkNames } = await world.addTarget();
    const network = { name: "green", interface: "net1" };
    const first = await world.api.attach({ target, network }, neverAborted);
    const changed = { target, network: { ...network, mac } };
    await expect(world.api.attach(changed, neverAborted)).rejects.toMatchObject({
      reason: "INTERFACE_IN_USE",
    });
    const replaced = await world.api.attach({ ...changed, replace: true }, neverAborted);
    expect(replaced).toMatchObject({ created: true, interface: { name: "net1", mac } });
    expect(replaced.interface.attachmentId).not.toBe(first.interface.attachmentId);
    expect((await linkNames()).filter((name) => name === "net1")).toHaveLength(1);
    expect(await world.leases()).toBe(1);
  });

  test("replacing by an invalid selection removes nothing", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    const first = await world.api.attach(
      { target, network: { name: "blue", interface: "net1" } },
      neverAborted,
    );
    const invalid = { name: "blue", interface: "net1", mac };
    await expect(
      world.api.attach({ target, network: invalid, replace: true }, neverAborted),
    ).rejects.toMatchObject({
      reason: "CAPABILITY_NOT_DECLARED",
    });
    expect(await world.api.list({ target }, neverAborted)).toContainEqual(first.interface);
  });

  test("what another owner made is neither replaced nor detached, unless forced", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    await world.api.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
    const theirs = { target, network: { name: "green", interface: "net1" }, replace: true };
    await expect(world.other.attach(theirs, neverAborted)).rejects.toMatchObject({
      reason: "INTERFACE_IN_USE",
    });
    const which = { by: "interface", interface: "net1" } as const;
    await expect(world.other.detach({ target, which }, neverAborted)).rejects.toMatchObject({
      reason: "OWNED_BY_OTHER",
    });
    expect(await world.other.detach({ target, which, force: true }, neverAborted)).toMatchObject({
      detached: true,
    });
  });

  test("a caller's attachments under an owner's name stay the caller's to detach", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    const network = { name: "blue", interface: "net1" };
    const answer = await world.api.attach({ target, network, owner: "vnf-1" }, neverAborted);
    expect(answer.interface.owner).toBe("vnf-1");
    const which = { by: "id", attachmentId: answer.interface.attachmentId } as const;
    expect(await world.api.detach({ which }, neverAborted)).toMatchObject({ detached: true });
  });

  test("owners of the reconcilers are nobody else's", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    for (const owner of ["annotation/npwg", "intent/contiv"]) {
      const request = { target, network: { name: "blue" }, owner };
      await expect(world.api.attach(request, neverAborted)).rejects.toMatchObject({
        reason: "OWNER_RESERVED",
      });
    }
  });

  test("detaching what isn't there is no failure, but a network attached twice must be named by interface", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    const byNetwork = { target, which: { by: "network", network: "blue" } } as const;
    expect(await world.api.detach(byNetwork, neverAborted)).toEqual({ detached: false });
    for (const key of ["a", "b"])
      await world.api.attach({ target, network: { name: "blue" }, key }, neverAborted);
    await expect(world.api.detach(byNetwork, neverAborted)).rejects.toMatchObject({
      reason: "INVALID_REQUEST",
    });
    await world.api.detach({ target, which: { by: "interface", interface: "net2" } }, neverAborted);
    expect(await world.api.detach(byNetwork, neverAborted)).toMatchObject({ detached: true });
    expect(await world.leases()).toBe(0);
  });

  test("lo is never an attachment", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    const which = { by: "interface", interface: "lo" } as const;
    await expect(world.api.detach({ target, which, force: true }, neverAborted)).rejects.toMatchObject({
      reason: "NOT_DETACHABLE",
    });
    const network = { name: "blue", interface: "lo" };
    await expect(world.api.attach({ target, network }, neverAborted)).rejects.toMatchObject({
      reason: "INVALID_SELECTION",
    });
  });

  test("validate_only says what would be and changes nothing", async () => {
    await using world = await make();
    const { target, linkNames } = await world.addTarget();
    const before = await linkNames();
    const request = { target, validateOnly: true } as const;
    const answer = await world.api.attach({ ...request, network: { name: "blue" } }, neverAborted);
    expect(answer).toMatchObject({
      created: false,
      interface: { name: "net1", network: "blue", attachmentId: "" },
    });
    expect(answer.interface.state).toBeUndefined();
    await expect(
      world.api.attach({ ...request, network: { name: "blue", mac } }, neverAborted),
    ).rejects.toMatchObject({ reason: "CAPABILITY_NOT_DECLARED" });
    await expect(
      world.api.attach({ ...request, network: { name: "none" } }, neverAborted),
    ).rejects.toMatchObject({
      reason: "NETWORK_NOT_FOUND",
    });
    expect(await linkNames()).toEqual(before);
    expect(await world.leases()).toBe(0);
    const views = await world.api.list({ target }, neverAborted);
    expect(views.filter((view) => view.origin === "podplug")).toEqual([]);
  });

  test("an unknown network, target or attachment is said to be unknown", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    await expect(world.api.attach({ target, network: { name: "none" } }, neverAborted)).rejects.toMatchObject(
      {
        reason: "NETWORK_NOT_FOUND",
      },
    );
    const nowhere = { kind: "netns", netns: "/run/netns/nowhere" } as const;
    await expect(world.api.list({ target: nowhere }, neverAborted)).rejects.toMatchObject({
      reason: "TARGET_NOT_FOUND",
    });
    await expect(world.api.check({ target, interface: "net7" }, neverAborted)).rejects.toMatchObject({
      reason: "ATTACHMENT_NOT_FOUND",
    });
  });

  test("a watcher gets what is there, then synced, then every change, and ends when it leaves", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    const elsewhere = await world.addTarget();
    await world.api.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
    const leaving = new AbortController();
    const events: string[] = [];
    const synced = Promise.withResolvers<void>();
    const watching = (async () => {
      for await (const event of world.api.watch({ target }, leaving.signal)) {
        events.push(wordsFor(event));
        if (event.kind === "synced") synced.resolve();
        if (event.kind === "detached") leaving.abort();
      }
    })();
    await synced.promise;
    await world.api.attach({ target: elsewhere.target, network: { name: "blue" } }, neverAborted);
    await world.api.attach({ target, network: { name: "green", interface: "net2" } }, neverAborted);
    const changed = { target, network: { name: "green", interface: "net2", mac }, replace: true };
    await world.api.attach(changed, neverAborted);
    await world.api.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
    await watching;
    expect(events).toEqual(["present net1", "synced", "attached net2", "changed net2", "detached net1"]);
  });

  test("a caller that is gone already starts nothing", async () => {
    await using world = await make();
    const { target } = await world.addTarget();
    const gone = AbortSignal.abort();
    await expect(world.api.attach({ target, network: { name: "blue" } }, gone)).rejects.toMatchObject({
      reason: "CANCELED",
    });
    expect(await world.leases()).toBe(0);
  });

  test("info says what answers here", async () => {
    await using world = await make();
    const info = await world.api.info(neverAborted);
    expect(info.nodeName).not.toBe("");
    expect(info.cniVersions).toContain("1.0.0");
  });
}

function wordsFor(event: InterfaceEvent): string {
  return event.kind === "synced" ? "synced" : `${event.kind} ${event.interface.name}`;
}
