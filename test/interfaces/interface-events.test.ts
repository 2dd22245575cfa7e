import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { createInterfaceEvents } from "../../src/interfaces/interface-events.ts";
import { interfaceEventsContract } from "../contracts/interface-events.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";
import { addVethPair, makeNetns } from "../support/netns.ts";

const { signal } = new AbortController();
let events: Awaited<ReturnType<typeof createInterfaceEvents>>;

beforeAll(async () => {
  events = await createInterfaceEvents({ clock: systemClock });
});

afterAll(() => events[Symbol.dispose]());

describe("the real kernel tells of changes", () => {
  interfaceEventsContract(async () => {
    const stack = new AsyncDisposableStack();
    const both = [stack.use(await makeNetns()), stack.use(await makeNetns())] as const;
    const at = (path: string) => both.find((each) => each.path === path) ?? both[0];
    for (const netns of both) await netns.ip("link", "add", "blue", "type", "bridge");
    return {
      events,
      netns: both[0].path,
      otherNetns: both[1].path,
      nothing: `${both[0].path}-none`,
      addLink: (path, name) => at(path).ip("link", "add", name, "type", "bridge"),
      renameLink: (path, from, to) => at(path).ip("link", "set", from, "name", to),
      removeLink: (path, name) => at(path).ip("link", "del", name),
      setAddress: (path, name, address) => at(path).ip("addr", "add", address, "dev", name),
      end: async (path) => at(path)[Symbol.asyncDispose](),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  });
});

describe("the fake kernel tells as the real one", () => {
  interfaceEventsContract(async () => {
    const fake = createFakeInterfaces();
    for (const path of ["/run/netns/a", "/run/netns/b"]) {
      fake.addNetns(path);
      fake.addLink(path, { name: "blue" });
    }
    return {
      events: fake,
      netns: "/run/netns/a",
      otherNetns: "/run/netns/b",
      nothing: "/run/netns/none",
      addLink: async (path, name) => void fake.addLink(path, { name }),
      renameLink: async (path, from, to) => void fake.changeLink(path, from, { name: to }),
      removeLink: async (path, name) => fake.removeLink(path, name),
      setAddress: async (path, name, ip) => void fake.changeLink(path, name, { ips: [ip] }),
      end: async (path) => fake.removePath(path),
      async [Symbol.asyncDispose]() {},
    };
  });
});

test("a namespace that is followed takes its links along at once when it ends", async () => {
  await using pod = await makeNetns();
  await using node = await makeNetns();
  await addVethPair({ netns: pod, name: "net1" }, { netns: node, name: "host1" });
  const gone = Promise.withResolvers<void>();
  // The kernel also tells that the link comes up, and each step of its end.
  const look = async (): Promise<void> => {
    const links = await node.ipJson<unknown[]>("link", "show", "type", "veth");
    if (links.length === 0) gone.resolve();
  };
  using _ended = await events.follow({ netnsPath: node.path }, () => void look().catch(gone.reject), signal);
  using _following = await events.follow({ netnsPath: pod.path }, () => undefined, signal);
  await pod[Symbol.asyncDispose]();
  await gone.promise;
});

test("after more than the socket has room for, everybody is told", async () => {
  await using noisy = await makeNetns();
  await using quiet = await makeNetns();
  using narrow = await createInterfaceEvents({ clock: systemClock, receiveBufferBytes: 4096 });
  const heard = Promise.withResolvers<void>();
  using _noise = await narrow.follow({ netnsPath: noisy.path }, () => undefined, signal);
  using _following = await narrow.follow({ netnsPath: quiet.path }, () => heard.resolve(), signal);
  const flood = Array.from({ length: 50 }, (_, n) => `ip link add b${n} type bridge`).join("\n");
  // Synchronously: nothing is read meanwhile.
  spawnSync("nsenter", [`--net=${noisy.path}`, "sh", "-c", flood]);
  await heard.promise;
});
