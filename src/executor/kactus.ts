import type { Cni } from "../cni/cni.ts";
import { readFirstNetwork } from "../cni/network-files.ts";
import { printNetworkList } from "../cni/network-list.ts";
import { PodplugError } from "../domain/errors.ts";
import { hashedNetName } from "../domain/names.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import type { NetworkDefinition } from "../networks/contract.ts";
import { capabilityArgsOf } from "./capability-args.ts";
import type { CniArgs, Executor } from "./contract.ts";
import { requireReady } from "./require-ready.ts";

export interface KactusExecutorOptions {
  readonly cni: Cni;
  readonly direct: Executor;
  /** Where the node's own CNI configurations are; the first is kactus's. */
  readonly confDir: string;
}

/**
 * Has Kaloom's meta plugin kactus plug one Network, as podagent does: it is
 * run with its own configuration, the first of the node, and told the Network
 * and the hardware address in CNI_ARGS. It reads the Network itself, from the
 * API server, and names the interface by the Network's name.
 */
export function createKactusExecutor({ cni, direct, confDir }: KactusExecutorOptions): Executor {
  return {
    name: "kactus",
    daemons: [],
    cniVersions: direct.cniVersions,

    async prepare(definition, selection, { deep, attachment }, signal) {
      const network = nameOf(definition, selection);
      requireCarried(selection);
      requireItsName(network, attachment?.ifName);
      const own = await readFirstNetwork(confDir, signal);
      if (!own) {
        throw new PodplugError(
          "INVALID_NETWORK",
          `executor kactus needs kactus's configuration, and there is none in ${confDir}`,
        );
      }
      cni.requirePlugins(own);
      if (deep) await requireReady(cni, own, signal);
      return {
        networkName: own.name,
        config: printNetworkList(own),
        capabilityArgs: {},
        cniArgs: kaloomArgs(network, selection, attachment?.cniArgs ?? []),
      };
    },

    add: (attachment, signal) => direct.add(attachment, signal),
    del: (attachment, result, signal) => direct.del(attachment, result, signal),

    // It has no CHECK: the plugin would answer with an error, whatever became of the interface.
    check: async () => undefined,

    // Its configuration is the cluster's own network, whose other leases are the runtime's.
    async gc() {
      throw new PodplugError("UNSUPPORTED", "executor kactus has no GC; leave its networks out of cni.gc");
    },
  };
}

/** Kactus looks for Networks and for nothing else. */
function nameOf({ source, displayName }: NetworkDefinition, { name }: NetworkSelection): string {
  if (source === "kaloom" && name !== undefined) return name;
  const message = `executor kactus plugs Kaloom's Networks alone, not ${displayName} (${source}); executor direct can`;
  throw new PodplugError("UNSUPPORTED", message);
}

/** What would be dropped without a word. */
function requireCarried(selection: NetworkSelection): void {
  const { mac: _mac, ...lost } = capabilityArgsOf(selection);
  const what = [...Object.keys(lost), ...(selection.cniArgs ? ["cni-args"] : [])];
  if (what.length === 0) return;
  const message = `executor kactus can't pass on ${what.join(", ")}: kactus takes a hardware address and nothing else; executor direct can`;
  throw new PodplugError("UNSUPPORTED", message);
}

/** Kactus plugs and unplugs by this name, whatever it is told: under another one it would take away somebody else's. */
function requireItsName(network: string, ifName: string | undefined): void {
  const its = hashedNetName(network, new Set());
  if (ifName === undefined || ifName === its) return;
  const message = `executor kactus can't plug ${network} as ${ifName}: kactus calls it ${its}, and plugs it once; executor direct can`;
  throw new PodplugError("UNSUPPORTED", message);
}

/** As podagent has them, in its order. */
function kaloomArgs(network: string, { mac = "" }: NetworkSelection, given: CniArgs): CniArgs {
  const pod = ["K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID"];
  return [
    ["IgnoreUnknown", "1"],
    ...pod.flatMap((key) => given.filter(([each]) => each === key)),
    ["K8S_POD_NETWORK", network],
    ["K8S_POD_IFMAC", mac],
  ];
}
