import { messageOf, PodplugError } from "../domain/errors.ts";
import type { SeenAt } from "../domain/host-path.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/log.ts";
import { isCniName, isInterfaceName } from "../domain/names.ts";
import type { Telemetry } from "../domain/telemetry.ts";
import { type AttachmentParameters, anyAttachment, noAttachment } from "./environment.ts";
import type { ExecPlugin } from "./exec-plugin.ts";
import { findPlugin } from "./find-plugin.ts";
import { createInvoke, type Invoke } from "./invoke.ts";
import type { NetworkList } from "./network-list.ts";
import type { PluginConfig } from "./plugin-config.ts";
import { type CniCommand, errorCodes, interruption, namePlugin } from "./plugin-outcome.ts";
import { deriveRequest, requireDeclared } from "./request.ts";
import { convertResult, readResult } from "./results.ts";
import { isAtLeast, newestVersion } from "./versions.ts";

/** One network of one attachment. */
export interface NetworkAttachment extends AttachmentParameters {
  readonly network: NetworkList;
  readonly capabilityArgs: JsonObject;
}

/**
 * Runs networks' plugins by the CNI specification 1.1.0, section 3. Every
 * failure is a PodplugError; once `signal` aborts, the plugin that runs is
 * ended with all it started before the promise settles (PLUGIN_TIMEOUT for a
 * TimeoutError, else CANCELED). Serial use per container is the caller's duty.
 */
export interface Cni {
  /** Every plugin of the network in order; the final result in the form of the network's version. Undoes nothing. */
  add(attachment: NetworkAttachment, signal: AbortSignal): Promise<JsonObject>;
  /** In reverse order, to the first error. `result` is what ADD answered; absent when it never completed. */
  del(attachment: NetworkAttachment, result: JsonObject | undefined, signal: AbortSignal): Promise<void>;
  /** CHECK_FAILED with the plugin's name when one says so. Versions before 0.4.0 can't be asked: success, as for disableCheck. */
  check(attachment: NetworkAttachment, result: JsonObject, signal: AbortSignal): Promise<void>;
  /** From 1.1.0 on and without disableGC, else nothing. Goes on past errors and reports them together. */
  gc(network: NetworkList, valid: readonly GcAttachment[], signal: AbortSignal): Promise<void>;
  /** Whether ADD could be served: PLUGIN_FAILED with code 50 or 51 when not. From 1.1.0 on, else success. */
  status(network: NetworkList, signal: AbortSignal): Promise<void>;
  /** The versions that a plugin says it speaks. */
  pluginVersions(type: string, signal: AbortSignal): Promise<readonly string[]>;
  /** PLUGIN_NOT_FOUND unless every plugin is there; runs nothing. */
  requirePlugins(network: NetworkList): void;
}

export interface GcAttachment {
  readonly containerId: string;
  readonly ifName: string;
}

export interface CniOptions {
  /** Absolute; where plugins are looked for, in this order, and what they get as CNI_PATH. */
  readonly binDirs: readonly string[];
  /** Where this process finds those; in place when absent. */
  readonly seenAt?: SeenAt | undefined;
  /** The plugins' environment beside CNI's variables: PATH above all. */
  readonly env: Readonly<Record<string, string>>;
  readonly exec: ExecPlugin;
  readonly log: Logger;
  readonly telemetry?: Telemetry | undefined;
}

export function createCni({ binDirs, seenAt, env, exec, log, telemetry }: CniOptions): Cni {
  const invoke = createInvoke({ exec, binDirs, seenAt, env, log, telemetry });

  const requirePlugins = (network: NetworkList): void => {
    for (const plugin of network.plugins) findPlugin(plugin.type, binDirs, seenAt);
  };

  return {
    requirePlugins,

    async add(attachment, signal) {
      const { network, capabilityArgs } = attachment;
      requireValid(attachment);
      requireDeclared(network, capabilityArgs);
      // All of them first: a chain that breaks off in the middle has to be undone.
      requirePlugins(network);
      let result: JsonObject | undefined;
      for (const plugin of network.plugins) {
        const request = deriveRequest(network, plugin, { capabilityArgs, prevResult: result });
        requireTime(signal, network, "ADD");
        const printed = await invoke(
          { command: "ADD", type: plugin.type, request, parameters: attachment },
          signal,
        );
        result = convertedResult(printed, plugin, network);
      }
      return result ?? {};
    },

    async del(attachment, result, signal) {
      const { network, capabilityArgs } = attachment;
      const prevResult = prevResultForDel(network, result, log);
      for (const plugin of network.plugins.toReversed()) {
        const request = deriveRequest(network, plugin, { capabilityArgs, prevResult });
        requireTime(signal, network, "DEL");
        await invoke({ command: "DEL", type: plugin.type, request, parameters: attachment }, signal);
      }
    },

    async check(attachment, result, signal) {
      const { network, capabilityArgs } = attachment;
      if (network.disableCheck || !isAtLeast(network.cniVersion, "0.4.0")) return;
      const prevResult = convertResult(result, network.cniVersion);
      for (const plugin of network.plugins) {
        const request = deriveRequest(network, plugin, { capabilityArgs, prevResult });
        requireTime(signal, network, "CHECK");
        await invoke({ command: "CHECK", type: plugin.type, request, parameters: attachment }, signal).catch(
          asCheckFailure,
        );
      }
    },

    async gc(network, valid, signal) {
      if (network.disableGC || !isAtLeast(network.cniVersion, "1.1.0")) return;
      const attachments = valid.map(({ containerId, ifName }) => ({
        containerID: containerId,
        ifname: ifName,
      }));
      // The specification's first print had the second key; plugins read the one or the other.
      const keys = { "cni.dev/valid-attachments": attachments, "cni.dev/attachments": attachments };
      const failures: PodplugError[] = [];
      for (const plugin of network.plugins) {
        const request = deriveRequest(network, plugin, { keys });
        requireTime(signal, network, "GC");
        await collect(
          failures,
          invoke({ command: "GC", type: plugin.type, request, parameters: noAttachment }, signal),
        );
      }
      throwTogether(failures);
    },

    async status(network, signal) {
      if (!isAtLeast(network.cniVersion, "1.1.0")) return;
      for (const plugin of network.plugins) {
        const request = deriveRequest(network, plugin, {});
        requireTime(signal, network, "STATUS");
        await invoke({ command: "STATUS", type: plugin.type, request, parameters: noAttachment }, signal);
      }
    },

    pluginVersions: (type, signal) => askVersions(invoke, type, signal),
  };
}

async function askVersions(invoke: Invoke, type: string, signal: AbortSignal): Promise<readonly string[]> {
  const request = { cniVersion: newestVersion };
  const printed = await invoke({ command: "VERSION", type, request, parameters: anyAttachment }, signal);
  let answer: unknown;
  try {
    answer = JSON.parse(printed);
  } catch (cause) {
    const message = `plugin ${type} answered VERSION with something other than JSON: ${messageOf(cause)}`;
    throw new PodplugError("PLUGIN_BAD_OUTPUT", message, { plugin: type, cause });
  }
  const versions = isJsonObject(answer) ? answer["supportedVersions"] : undefined;
  if (Array.isArray(versions)) return versions.filter((version) => typeof version === "string");
  // 0.2.0 brought VERSION, at first without a list.
  if (isJsonObject(answer) && answer["cniVersion"] === "0.2.0") return ["0.1.0", "0.2.0"];
  const message = `plugin ${type} answered VERSION without supportedVersions`;
  throw new PodplugError("PLUGIN_BAD_OUTPUT", message, { plugin: type });
}

function requireValid({ containerId, ifName, netnsPath, network }: NetworkAttachment): void {
  const fault = !isCniName(containerId)
    ? `container ID ${JSON.stringify(containerId)}`
    : !isInterfaceName(ifName)
      ? `interface name ${JSON.stringify(ifName)}`
      : !netnsPath
        ? `namespace path ${JSON.stringify(netnsPath ?? "")}`
        : undefined;
  if (fault === undefined) return;
  throw new PodplugError("INVALID_REQUEST", `network ${network.name} can't be added with ${fault}`);
}

function requireTime(signal: AbortSignal, network: NetworkList, command: CniCommand): void {
  if (signal.aborted) throw interruption(signal, `network ${network.name}`, command);
}

function convertedResult(printed: string, plugin: PluginConfig, network: NetworkList): JsonObject {
  try {
    return convertResult(readResult(printed, network.cniVersion), network.cniVersion);
  } catch (error) {
    throw error instanceof PodplugError ? namePlugin(error, plugin.type, "ADD") : error;
  }
}

/** From 0.4.0 on (spec 0.4.0, DEL). A result that can't be read must not keep anything from being cleaned up. */
function prevResultForDel(
  network: NetworkList,
  result: JsonObject | undefined,
  log: Logger,
): JsonObject | undefined {
  if (result === undefined || !isAtLeast(network.cniVersion, "0.4.0")) return undefined;
  try {
    return convertResult(result, network.cniVersion);
  } catch (error) {
    log.warn({ network: network.name, err: error }, "deleting without the previous result");
    return undefined;
  }
}

function asCheckFailure(error: unknown): never {
  if (!(error instanceof PodplugError) || error.reason !== "PLUGIN_FAILED") throw error;
  if (error.cniCode === errorCodes.tryAgainLater) throw error;
  const { plugin, cniCode, details } = error;
  throw new PodplugError("CHECK_FAILED", error.message, { plugin, cniCode, details, cause: error });
}

async function collect(failures: PodplugError[], running: Promise<unknown>): Promise<void> {
  try {
    await running;
  } catch (error) {
    if (!(error instanceof PodplugError)) throw error;
    failures.push(error);
  }
}

function throwTogether(failures: readonly PodplugError[]): void {
  const [first, ...rest] = failures;
  if (first === undefined) return;
  if (rest.length === 0) throw first;
  const message = failures.map((failure) => failure.message).join("; ");
  const { plugin, cniCode, details, retryAfterMs } = first;
  const cause = new AggregateError(failures, message);
  throw new PodplugError(first.reason, message, { plugin, cniCode, details, retryAfterMs, cause });
}
