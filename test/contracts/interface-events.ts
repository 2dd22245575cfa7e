import { expect, test } from "vitest";
import type { InterfaceEvents, NetnsNews, NetnsPlace } from "../../src/interfaces/contract.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";

/** Two new namespaces with a link `blue` each, and a hand that changes what is in them. */
export interface InterfaceEventsWorld extends AsyncDisposable {
  readonly events: InterfaceEvents;
  readonly netns: string;
  readonly otherNetns: string;
  /** A path where there is nothing. */
  readonly nothing: string;
  addLink(netns: string, name: string): Promise<void>;
  renameLink(netns: string, from: string, to: string): Promise<void>;
  removeLink(netns: string, name: string): Promise<void>;
  setAddress(netns: string, name: string, address: string): Promise<void>;
  /** The namespace's path goes, and with it the namespace. */
  end(netns: string): Promise<void>;
}

export function interfaceEventsContract(makeWorld: () => Promise<InterfaceEventsWorld>): void {
  const { signal } = new AbortController();

  /** What follows a namespace, and can be waited for. */
  async function follow(events: InterfaceEvents, place: NetnsPlace) {
    const heard: NetnsNews[] = [];
    const following = await events.follow(place, (news) => void heard.push(news), signal);
    return {
      following,
      heard,
      /** Resolves once more is heard than there was before `act`. */
      async afterwards(act: () => Promise<void>): Promise<void> {
        const before = heard.length;
        await act();
        await eventually(() => heard.length > before, "the change is told");
      },
    };
  }

  test("a link that is added, renamed, readdressed or removed is told", async () => {
    await using world = await makeWorld();
    const { netns } = world;
    const follower = await follow(world.events, { netnsPath: netns });
    await follower.afterwards(() => world.addLink(netns, "green"));
    await follower.afterwards(() => world.renameLink(netns, "green", "lime"));
    await follower.afterwards(() => world.setAddress(netns, "blue", "10.9.8.7/24"));
    await follower.afterwards(() => world.removeLink(netns, "lime"));
  });

  test("changes in another namespace are told to those who follow that one", async () => {
    await using world = await makeWorld();
    const here = await follow(world.events, { netnsPath: world.netns });
    const there = await follow(world.events, { netnsPath: world.otherNetns });
    const before = here.heard.length;
    await there.afterwards(() => world.removeLink(world.otherNetns, "blue"));
    expect(here.heard.length).toBe(before);
  });

  test("nothing is told to who has left, and everything to who stays", async () => {
    await using world = await makeWorld();
    const leaver = await follow(world.events, { netnsPath: world.netns });
    const stayer = await follow(world.events, { netnsPath: world.netns });
    leaver.following[Symbol.dispose]();
    const before = leaver.heard.length;
    await stayer.afterwards(() => world.removeLink(world.netns, "blue"));
    expect(leaver.heard.length).toBe(before);
  });

  test("a namespace that is followed ends all the same, and its end is told", async () => {
    await using world = await makeWorld();
    const follower = await follow(world.events, { netnsPath: world.netns });
    await follower.afterwards(() => world.end(world.netns));
    expect(follower.heard.at(-1)).toBe("ended");
  });

  test("a path that leads nowhere is TARGET_NOT_FOUND, one to another namespace than is meant SANDBOX_NOT_READY", async () => {
    await using world = await makeWorld();
    const nothing = world.events.follow({ netnsPath: world.nothing }, () => {}, signal);
    await expect(nothing).rejects.toEqual(failure("TARGET_NOT_FOUND"));
    const netns = { bootId: "another", inode: "1:1", cookie: "1" };
    const another = world.events.follow({ netnsPath: world.netns, netns }, () => {}, signal);
    await expect(another).rejects.toEqual(failure("SANDBOX_NOT_READY"));
  });

  test("who leaves before it began is CANCELED", async () => {
    await using world = await makeWorld();
    const following = world.events.follow({ netnsPath: world.netns }, () => {}, AbortSignal.abort());
    await expect(following).rejects.toEqual(failure("CANCELED"));
  });
}
