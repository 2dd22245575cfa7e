import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { createNodeClient, type NodeClient } from "../../src/client/node-client.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { readableLog } from "../agent/agent-program.ts";
import { makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { type Census, takeCensus } from "./census.ts";

const execute = promisify(execFile);

/** A node with namespaces that have a network and a default route of their own, and networks of every kind. */
export interface KillWorld extends AsyncDisposable {
  readonly node: TestNode;
  readonly namespaces: readonly TestNetns[];
  readonly networks: readonly [KillNetwork, ...KillNetwork[]];
  /** With masquerading: for one attachment in each namespace, as bridge gives two of them one chain of rules. */
  readonly masked: KillNetwork;
  client(): NodeClient;
  /** What there is, as each place tells it by itself. */
  census(): Promise<Census>;
}

export interface KillNetwork {
  readonly name: string;
  readonly gateway: string;
}

/** `slow-bridge` does what bridge does, with a moment before and after it, in which to be killed. */
const slowBridge = `#!/bin/sh
sleep 0.02
answer=$(/usr/lib/cni/bridge)
code=$?
sleep 0.02
printf '%s' "$answer"
exit $code
`;

export async function makeKillWorld(count: number): Promise<KillWorld> {
  await using cleanup = new AsyncDisposableStack();
  const plugins = cleanup.use(await makePluginDirectory());
  await plugins.addProgram("slow-bridge", slowBridge);
  const node = cleanup.use(await makeNode({ binDirs: [plugins.path], config: readableLog }));
  /** One for each network, as each has a gateway of its own. */
  const bridges: string[] = [];
  const makeBridge = async (): Promise<string> => {
    const name = `${node.bridge}b${bridges.length}`;
    await execute("ip", ["link", "add", name, "up", "type", "bridge"]);
    cleanup.defer(async () => void (await execute("ip", ["link", "delete", name])));
    bridges.push(name);
    return name;
  };

  const ipam = (third: number): JsonObject => ({
    type: "host-local",
    dataDir: join(node.root, "leases"),
    ranges: [[{ subnet: `10.203.${third}.0/24` }]],
  });
  const bridge = async (third: number, keys: JsonObject = {}): Promise<JsonObject> =>
    node.bridgePlugin({ bridge: await makeBridge(), ipam: ipam(third), ...keys });
  const macvlan = async (third: number): Promise<JsonObject> => ({
    type: "macvlan",
    master: await makeBridge(),
    mode: "bridge",
    ipam: ipam(third),
  });
  const define = async (name: string, third: number, chain: readonly JsonObject[]): Promise<KillNetwork> => {
    await node.defineNetwork(name, chain);
    return { name, gateway: `10.203.${third}.1` };
  };
  const networks = [
    await define("plain", 1, [await bridge(1)]),
    await define("slow", 2, [await bridge(2, { type: "slow-bridge" })]),
    await define("chained", 4, [await bridge(4), { type: "tuning", mtu: 1400 }]),
    await define("macvlan", 5, [await macvlan(5)]),
  ] as const;
  const masked = await define("masked", 3, [await bridge(3, { ipMasq: true })]);
  const namespaces: TestNetns[] = [];
  for (let made = 0; made < count; made += 1) {
    const netns = cleanup.use(await makeNetns("kill"));
    await netns.ip("link", "add", "eth0", "type", "bridge");
    await netns.ip("addr", "add", "192.0.2.2/24", "dev", "eth0");
    await netns.ip("link", "set", "eth0", "up");
    await netns.ip("route", "add", "default", "via", "192.0.2.1", "metric", "100");
    namespaces.push(netns);
  }
  const held = cleanup.move();
  const client = (): NodeClient => createNodeClient({ server: `unix://${node.socket}` });

  return {
    node,
    namespaces,
    networks,
    masked,
    client,
    async census() {
      await using api = client();
      return await takeCensus({ node, namespaces, bridges, api });
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
