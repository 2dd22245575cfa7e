import type { SeenAt } from "../domain/host-path.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/log.ts";
import { observe, silentTelemetry, type Telemetry } from "../domain/telemetry.ts";
import { type AttachmentParameters, pluginEnvironment } from "./environment.ts";
import type { ExecPlugin, PluginRun } from "./exec-plugin.ts";
import { findPlugin } from "./find-plugin.ts";
import { type CniCommand, failureOfExit, failureOfRun } from "./plugin-outcome.ts";

/** One plugin asked one thing. */
export interface Invocation {
  readonly command: CniCommand;
  readonly type: string;
  readonly request: JsonObject;
  readonly parameters: AttachmentParameters;
}

/** Resolves with what the plugin printed; every failure is a PodplugError that names it. */
export type Invoke = (invocation: Invocation, signal: AbortSignal) => Promise<string>;

export interface InvokeOptions {
  readonly exec: ExecPlugin;
  readonly binDirs: readonly string[];
  readonly seenAt?: SeenAt | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly log: Logger;
  readonly telemetry?: Telemetry | undefined;
}

export function createInvoke({
  exec,
  binDirs,
  seenAt,
  env,
  log,
  telemetry = silentTelemetry,
}: InvokeOptions): Invoke {
  return async (invocation, signal) => {
    const { command, type, request, parameters } = invocation;
    const run = {
      path: findPlugin(type, binDirs, seenAt),
      env: pluginEnvironment(command, parameters, binDirs, env),
      stdin: JSON.stringify(request),
    };
    return await observe(telemetry, { kind: "plugin", type, verb: command }, () =>
      ask(invocation, run, signal),
    );
  };

  async function ask(
    { command, type, parameters }: Invocation,
    run: PluginRun,
    signal: AbortSignal,
  ): Promise<string> {
    const exit = await exec(run, signal).catch((thrown: unknown) => {
      throw failureOfRun(thrown, type, command, signal);
    });
    const failure = failureOfExit(exit, type, command);
    if (failure !== undefined) throw failure;
    const facts = { plugin: type, command, containerId: parameters.containerId, ifName: parameters.ifName };
    log.debug(facts, "plugin succeeded");
    if (exit.stderr !== "") log.debug({ ...facts, stderr: exit.stderr }, "plugin wrote to stderr");
    return exit.stdout;
  }
}
