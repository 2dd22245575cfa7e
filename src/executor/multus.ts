import { printNetworkList, readNetworkList } from "../cni/network-list.ts";
import { requireDeclared } from "../cni/request.ts";
import { convertResult, readResult } from "../cni/results.ts";
import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/log.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import { capabilityArgsOf } from "./capability-args.ts";
import type { CniArgs, CniAttachment, Executor } from "./contract.ts";
import type { DelegateRequest, MultusApi } from "./multus-api.ts";
import { withSelected } from "./selected-network.ts";

/** How long a daemon may be away before DEL does without it. */
const awayMs = 30_000;

/** What the daemon's API carries of a selection; its other capability arguments would be dropped. */
const carried: ReadonlySet<string> = new Set(["ips", "mac"]);

/**
 * Has Multus's thick plugin run the plugins, by its `/delegate`. It changes
 * the configuration on its side, and asks the API server for the pod first, so
 * that DEL works without it, from the record, when the namespace is gone or
 * the daemon stays away. For that, and for CHECK, the plugins must be where
 * `direct` finds them too.
 */
export function createMultusExecutor(options: {
  readonly api: MultusApi;
  readonly direct: Executor;
  readonly clock: Clock;
  readonly log: Logger;
}): Executor {
  const { api, direct, clock, log } = options;
  let awaySince: number | undefined;

  async function ask(request: DelegateRequest, signal: AbortSignal): Promise<string> {
    try {
      await api.requireHealthy(request.command, signal);
      const answer = await api.delegate(request, signal);
      awaySince = undefined;
      return answer;
    } catch (error) {
      if (!isAway(error)) awaySince = undefined;
      else awaySince ??= clock.steadyMs();
      throw error;
    }
  }

  const staysAway = (): boolean => awaySince !== undefined && clock.steadyMs() - awaySince >= awayMs;

  return {
    name: "multus",
    daemons: ["multus"],
    cniVersions: direct.cniVersions,

    async prepare(definition, selection, { deep, attachment }, signal) {
      const capabilityArgs = capabilityArgsOf(selection);
      requireCarried(capabilityArgs, selection);
      if (attachment) requirePod(attachment.cniArgs);
      const written = readNetworkList(definition.config, { source: `network ${definition.displayName}` });
      requireDeclared(written, capabilityArgs);
      if (deep) await api.requireHealthy("STATUS", signal);
      const network = withSelected(written, selection);
      const cniArgs = attachment?.cniArgs ?? [];
      return { networkName: network.name, config: printNetworkList(network), capabilityArgs, cniArgs };
    },

    async add(attachment, signal) {
      const { ips, mac } = attachment.capabilityArgs;
      const interfaceAttributes = { ...(ips !== undefined && { ips }), ...(mac !== undefined && { mac }) };
      const answer = await ask({ ...requestOf("ADD", attachment), interfaceAttributes }, signal);
      return resultIn(answer, attachment);
    },

    async del(attachment, result, signal) {
      // Without a pod the daemon can't have plugged it.
      if (attachment.netnsPath === undefined || !isPods(attachment.cniArgs)) {
        return await direct.del(attachment, result, signal);
      }
      try {
        await ask(requestOf("DEL", attachment), signal);
      } catch (error) {
        if (!isAway(error) || !staysAway()) throw error;
        const facts = { containerId: attachment.containerId, ifName: attachment.ifName, err: error };
        log.warn(facts, "multus-daemon stays away; DEL does without it");
        await direct.del(attachment, result, signal);
      }
    },

    // The daemon's own CHECK can't read a configuration list (4.3.0), and its API has no GC.
    check: (attachment, result, signal) => direct.check(attachment, result, signal),
    gc: (config, valid, signal) => direct.gc(config, valid, signal),
  };
}

function isAway(error: unknown): boolean {
  return error instanceof PodplugError && error.reason === "UNREACHABLE";
}

function requireCarried(capabilityArgs: JsonObject, { deviceId }: NetworkSelection): void {
  const lost = Object.keys(capabilityArgs).filter((key) => !carried.has(key));
  if (lost.length === 0) return;
  const what = lost.map((key) => (key === "deviceID" ? `device ${deviceId}` : key)).join(", ");
  const message = `executor multus can't pass on ${what}: Multus's API has no place for it; executor direct can`;
  throw new PodplugError("UNSUPPORTED", message);
}

function argumentOf(cniArgs: CniArgs, name: string): string {
  return cniArgs.find(([key]) => key === name)?.[1] ?? "";
}

function isPods(cniArgs: CniArgs): boolean {
  return argumentOf(cniArgs, "K8S_POD_NAME") !== "";
}

/** Before there is a record: the daemon would refuse its ADD and its DEL for ever. */
function requirePod(cniArgs: CniArgs): void {
  if (isPods(cniArgs)) return;
  const message =
    "executor multus works for pods alone: Multus asks the API server for them; executor direct can plug others too";
  throw new PodplugError("UNSUPPORTED", message);
}

function requestOf(
  command: DelegateRequest["command"],
  { containerId, ifName, netnsPath = "", cniArgs, config }: CniAttachment,
): DelegateRequest {
  const pod = ["K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_UID"].map(
    (name) => `${name}=${argumentOf(cniArgs, name)}`,
  );
  const env = {
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netnsPath,
    CNI_IFNAME: ifName,
    // Nothing else, and no semicolon at the end: the daemon takes every part for a pair.
    CNI_ARGS: pod.join(";"),
  };
  return { command, env, config };
}

/** In the form of the configuration's version, as the contract has it. */
function resultIn(answer: string, { networkName, config }: CniAttachment): JsonObject {
  const network = readNetworkList(config, { source: `recorded network ${networkName}` });
  const badAnswer = (why: string, cause?: unknown): PodplugError =>
    new PodplugError("PLUGIN_BAD_OUTPUT", `multus-daemon's answer to ADD ${why}`, {
      plugin: "multus",
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(answer);
  } catch (cause) {
    throw badAnswer("isn't JSON", cause);
  }
  const result = isJsonObject(value) ? value["Result"] : undefined;
  if (!isJsonObject(result)) throw badAnswer("holds no Result");
  return convertResult(readResult(JSON.stringify(result), network.cniVersion), network.cniVersion);
}
