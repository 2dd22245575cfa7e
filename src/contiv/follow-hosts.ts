import type { Cni, NetworkAttachment } from "../cni/cni.ts";
import { readNetworkList } from "../cni/network-list.ts";
import { type Clock, pause } from "../domain/clock.ts";
import { asPodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { NodeApi } from "../domain/node-api.ts";
import type { IntentNetwork, ReadIntent } from "./intent.ts";
import type { IntentFile } from "./intent-file.ts";
import { uplinkOf, uplinkPlugin } from "./uplink.ts";

export interface HostFollowerOptions {
  readonly cni: Cni;
  readonly file: IntentFile;
  readonly hostName: string;
  /** Tells which networks are plugged on this node. */
  readonly api: Pick<NodeApi, "list">;
  /** How long one run of the plugin may take. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

const lookEveryMs = 2_000;
const longestPauseMs = 60_000;

/**
 * Has networks that are plugged already learn of hosts that came into the
 * intent or left it, without touching a pod: an ADD of the uplink brings it to
 * what it is to be, and a DEL takes back that it was counted. Where an agent
 * died between the two, the DEL of the next one's first look makes up for it.
 */
export async function followHosts(options: HostFollowerOptions, stopped: AbortSignal): Promise<void> {
  const { cni, file, hostName, api, timeoutMs, clock, log } = options;
  let followed: ReadIntent | undefined;
  let failures = 0;
  let isFirst = true;
  while (!stopped.aborted) {
    const read = file.current();
    if (read !== followed) {
      const isDone = await follow(read);
      failures = isDone ? 0 : failures + 1;
      if (isDone) followed = read;
    }
    await pause(clock, Math.min(lookEveryMs * 2 ** failures, longestPauseMs), stopped);
  }

  async function follow(read: ReadIntent): Promise<boolean> {
    if (read.kind === "invalid") return true;
    try {
      const views = await api.list({}, stopped);
      const plugged = views.filter(({ selection }) => selection?.source === "contiv");
      const names = new Set(plugged.map(({ network }) => network));
      for (const network of read.intent.networks) {
        const uplink = uplinkOf(network, read.intent, hostName);
        if (stopped.aborted || uplink.kind === "impossible") continue;
        const counted = countedAs(network, uplink.text);
        const isPlugged = names.has(`${network.tenant}/${network.name}`);
        if (isPlugged) await cni.add(counted, AbortSignal.timeout(timeoutMs));
        if (isPlugged || isFirst) await cni.del(counted, undefined, AbortSignal.timeout(timeoutMs));
      }
      isFirst = false;
      return true;
    } catch (thrown) {
      if (stopped.aborted) return true;
      const error = asPodplugError(thrown);
      log.warn(
        { reason: error.reason, err: error },
        "the intent's hosts could not be followed; it is tried again",
      );
      return false;
    }
  }
}

/** No pod's: CNI's names for it are of our own making. */
function countedAs({ tenant, name }: IntentNetwork, uplink: string): NetworkAttachment {
  const config = {
    cniVersion: "1.0.0",
    name: `${tenant}.${name}`,
    plugins: [{ type: uplinkPlugin, uplink }],
  };
  return {
    network: readNetworkList(JSON.stringify(config), { source: "an uplink" }),
    containerId: "podplug-hosts",
    ifName: "hosts",
    netnsPath: "/proc/self/ns/net",
    cniArgs: [],
    capabilityArgs: {},
  };
}
