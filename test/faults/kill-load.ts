import type { NodeClient } from "../../src/client/node-client.ts";
import { asPodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { Random } from "../support/random.ts";
import type { KillWorld } from "./kill-world.ts";

/** What an interface's worker knows of it: `either` after a call that nobody answered. */
type Known = "attached" | "gone" | "either";

interface Slot {
  readonly netns: string;
  readonly path: string;
  readonly ifName: string;
  known: Known;
}

export interface Load {
  /** Works at full rate until its agent is killed; resolves with how many calls were answered. */
  run(random: Random): Promise<number>;
  /** What isn't as it was answered, given what is there (`NAMESPACE INTERFACE`), which settles what nobody was told. */
  settle(present: ReadonlySet<string>): readonly string[];
}

/** Clients that each have an interface of their own in each namespace, and change one after the other. */
export function createLoad(world: KillWorld, clients: number): Load {
  const workers = Array.from({ length: clients }, (_, worker) =>
    world.namespaces.map(
      ({ name, path }): Slot => ({ netns: name, path, ifName: `w${worker}`, known: "gone" }),
    ),
  );

  return {
    async run(random) {
      await using api = world.client();
      const counts = await Promise.all(
        workers.map((slots, worker) => {
          const { networks, masked } = world;
          const own = worker === 0 ? ([masked, networks[0]] as const) : networks;
          return work(api, slots, own, random.fork(`worker ${worker}`));
        }),
      );
      return counts.reduce((sum, count) => sum + count, 0);
    },
    settle(present) {
      const wrong: string[] = [];
      for (const slot of workers.flat()) {
        const name = `${slot.netns} ${slot.ifName}`;
        const now = present.has(name) ? "attached" : "gone";
        if (slot.known !== "either" && slot.known !== now) wrong.push(`${name} is ${now}, was ${slot.known}`);
        slot.known = now;
      }
      return wrong;
    },
  };
}

async function work(
  api: NodeClient,
  slots: readonly Slot[],
  networks: KillWorld["networks"],
  random: Random,
): Promise<number> {
  for (let answered = 0; ; answered += 1) {
    const slot = slots[random.below(slots.length)];
    if (!slot) return answered;
    try {
      await change(api, slot, networks, random);
    } catch (thrown) {
      const error = asPodplugError(thrown);
      // The agent was killed; every other failure is the test's.
      if (error.reason === "UNREACHABLE") return answered;
      throw new Error(`${slot.netns} ${slot.ifName}: ${error.reason} ${error.message}`, { cause: thrown });
    }
  }
}

async function change(
  api: NodeClient,
  slot: Slot,
  networks: KillWorld["networks"],
  random: Random,
): Promise<void> {
  const target = { kind: "netns", netns: slot.path } as const;
  const before = slot.known;
  const replace = before === "attached" && random.chance(0.4);
  if (before === "attached" && !replace) {
    slot.known = "either";
    await api.detach({ target, which: { by: "interface", interface: slot.ifName } }, neverAborted);
    slot.known = "gone";
    return;
  }
  const { name, gateway } = random.of(networks);
  const defaultRoute = random.chance(0.3) ? { gateways: [gateway] } : undefined;
  const network = { name, interface: slot.ifName, defaultRoute };
  // A replacement that is interrupted is finished, or never began.
  slot.known = replace ? "attached" : "either";
  await api.attach({ target, network, replace }, neverAborted);
  slot.known = "attached";
}
