import type { Command } from "commander";
import type { PodplugError } from "../../domain/errors.ts";
import type { NodeApi } from "../../domain/node-api.ts";
import type { CliIo } from "./io.ts";

/** What differs between the programs that share these commands: `podplug` speaks to one agent, `kubectl podplug` to those of a cluster. */
export interface Surface {
  /** As its users type it. */
  readonly program: string;
  /** What may be plugged into: only a node knows its containers and namespaces. */
  readonly targets: "any" | "pods";
  /** Where a POD without a namespace is, for help. */
  readonly defaultNamespace: string;
  addConnectionOptions(command: Command): Command;
  /** With the options that stand on the command line, those of `addConnectionOptions` among them. */
  reach(options: ReachOptions): Promise<Reached>;
}

export interface ReachOptions {
  readonly flags: object;
  readonly io: CliIo;
  readonly signal: AbortSignal;
  /** Hears of each agent that fails while others answer. */
  readonly onFailure: (failure: PodplugError) => void;
}

/** What a command works on. */
export interface Reached extends AsyncDisposable {
  readonly api: NodeApi;
  /** Of a POD without one. */
  readonly namespace: string;
}
