import type { JsonObject } from "../domain/json.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import type { NetworkDefinition } from "../networks/contract.ts";

/** A network ready to run: all that can be checked without running a plugin was. */
export interface PreparedNetwork {
  /** The CNI network's name. */
  readonly networkName: string;
  /** The exact configuration list (JSON text), with the selection's args merged: what the record keeps and DEL gets. */
  readonly config: string;
  /** The capability arguments asked for (`ips`, `mac`, `bandwidth`, …). */
  readonly capabilityArgs: JsonObject;
  /** What the plugins get as CNI_ARGS. */
  readonly cniArgs: CniArgs;
}

export type CniArgs = readonly (readonly [key: string, value: string])[];

export interface PrepareOptions {
  /** Also runs what asks the plugins without changing anything (VERSION, STATUS). */
  readonly deep: boolean;
  /** What is going to be attached, with CNI_ARGS as kubelet gives them; absent when nothing is (GC). */
  readonly attachment?: { readonly ifName: string; readonly cniArgs: CniArgs } | undefined;
}

/** One attachment's parameters, the same for ADD, CHECK and DEL (CNI spec 1.1.0, section 2). */
export interface CniAttachment extends PreparedNetwork {
  /** The name of the executor that ran, or is to run, the ADD. */
  readonly executor: string;
  readonly containerId: string;
  readonly ifName: string;
  /** Absent for a DEL whose namespace is gone. */
  readonly netnsPath?: string | undefined;
}

export interface ValidAttachment {
  readonly containerId: string;
  readonly ifName: string;
}

/**
 * Runs one network's plugins. Every failure is a PodplugError, with the
 * plugin's name and CNI code where a plugin gave them. When `signal` aborts,
 * the plugin that runs is ended with all its children before the promise
 * settles, but for a daemon's: PLUGIN_TIMEOUT when the reason is a
 * TimeoutError, else CANCELED.
 */
export interface Executor {
  readonly name: string;
  /**
   * The executors, by name, whose plugins a daemon runs: an ADD of theirs goes
   * on when the agent ends, and when it is interrupted (`mayGoOn`).
   */
  readonly daemons: readonly string[];
  /** The CNI versions it speaks, oldest first. */
  readonly cniVersions: readonly string[];
  /**
   * INVALID_NETWORK, CAPABILITY_NOT_DECLARED, PLUGIN_NOT_FOUND,
   * VERSION_UNSUPPORTED or UNSUPPORTED.
   */
  prepare(
    definition: NetworkDefinition,
    selection: NetworkSelection,
    options: PrepareOptions,
    signal: AbortSignal,
  ): Promise<PreparedNetwork>;
  /** The final result in the form of the configuration's CNI version. A failed ADD is not undone here. */
  add(attachment: CniAttachment, signal: AbortSignal): Promise<JsonObject>;
  /** Idempotent. `result` is what ADD answered; absent when it never completed. */
  del(attachment: CniAttachment, result: JsonObject | undefined, signal: AbortSignal): Promise<void>;
  check(attachment: CniAttachment, result: JsonObject, signal: AbortSignal): Promise<void>;
  /** CNI GC for one network, with the complete set of what is valid. */
  gc(config: string, valid: readonly ValidAttachment[], signal: AbortSignal): Promise<void>;
}
