import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { NodeClient } from "../../src/client/node-client.ts";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { IpLink, TestNetns } from "../support/netns.ts";
import type { TestNode } from "../support/node.ts";
import { readLeases, readRecords } from "./traces.ts";

const execute = promisify(execFile);

/** Each line is `NAMESPACE INTERFACE ADDRESS`. */
export interface Census {
  /** What the kernel has. */
  readonly links: readonly string[];
  /** Of host-local's files. */
  readonly leases: readonly string[];
  /** Of podplug's own that say attached. */
  readonly records: readonly string[];
  /** What the API answers as attached. */
  readonly listed: readonly string[];
  /** By which interfaces each namespace's default routes go. */
  readonly defaultRoutes: Readonly<Record<string, readonly string[]>>;
  /** The attachments that ask for the default route, in each namespace. */
  readonly routeTakers: Readonly<Record<string, readonly string[]>>;
  /** Records that say something else. */
  readonly unfinished: readonly string[];
  readonly hostEnds: number;
  /** The attachments that have an end on the bridge. */
  readonly bridged: number;
  /** Those of the network that is masked: other tests make rules beside. */
  readonly firewallRules: readonly string[];
  readonly processes: readonly string[];
}

export async function takeCensus({
  node,
  namespaces,
  bridges,
  api,
}: {
  readonly node: TestNode;
  readonly bridges: readonly string[];
  readonly namespaces: readonly TestNetns[];
  readonly api: NodeClient;
}): Promise<Census> {
  const looked = await Promise.all(namespaces.map((netns) => look(netns, api)));
  const nameOf = new Map(looked.map(({ name, sandboxId }) => [sandboxId, name]));
  const { whole, others } = await readRecords(join(node.stateDir, "results"), nameOf);
  return {
    links: looked.flatMap(({ links }) => links).toSorted(),
    leases: (await readLeases(join(node.root, "leases"), nameOf)).toSorted(),
    records: whole.map(({ line }) => line).toSorted(),
    listed: looked.flatMap(({ listed }) => listed).toSorted(),
    defaultRoutes: Object.fromEntries(looked.map(({ name, defaultRoutes }) => [name, defaultRoutes])),
    routeTakers: Object.fromEntries(
      looked.map(({ name }) => [
        name,
        whole
          .filter(({ sandbox, takesDefaultRoute }) => sandbox === name && takesDefaultRoute)
          .map(({ ifName }) => ifName),
      ]),
    ),
    unfinished: others,
    hostEnds: (await Promise.all(bridges.map((name) => readdir(`/sys/class/net/${name}/brif`)))).flat()
      .length,
    bridged: whole.filter(({ networkName }) => networkName !== "macvlan").length,
    firewallRules: (await execute("iptables-save")).stdout
      .split("\n")
      .filter((line) => line.startsWith("-A ") && line.includes("masked"))
      .toSorted(),
    processes: (await findMarkedProcesses(await node.markerPrefix())).map(
      ({ env }) => `${env["CNI_COMMAND"]} ${env["CNI_IFNAME"]}`,
    ),
  };
}

async function look(netns: TestNetns, api: NodeClient) {
  const target = { kind: "netns", netns: netns.path } as const;
  const [links, routes, views] = await Promise.all([
    netns.ipJson<IpLink[]>("addr"),
    netns.ipJson<{ readonly dev: string }[]>("route", "show", "default"),
    api.list({ target }, neverAborted),
  ]);
  return {
    name: netns.name,
    sandboxId: views[0]?.sandboxId ?? "",
    links: links
      .filter(({ ifname }) => ifname !== "lo" && ifname !== "eth0")
      .map(({ ifname, addr_info: addresses }) =>
        [netns.name, ifname, ...addresses.map(({ local }) => local)].join(" "),
      ),
    listed: views
      .filter(({ name }) => name !== "eth0")
      .map(({ name, ips, state }) =>
        [netns.name, name, ...ips.map((ip) => ip.split("/")[0]), state === "attached" ? "" : state]
          .filter((word) => word !== "")
          .join(" "),
      ),
    defaultRoutes: routes.map(({ dev }) => dev),
  };
}
