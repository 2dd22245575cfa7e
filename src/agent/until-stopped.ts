import packageJson from "../../package.json" with { type: "json" };
import { createColours } from "../client/cli/output/colours.ts";
import { formatError } from "../client/cli/output/error-text.ts";
import type { Config } from "../config.ts";
import { asPodplugError, PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { kinds } from "../domain/reasons.ts";
import { createAuditLog, createLog } from "../log.ts";
import { loadConfig } from "./config-files.ts";
import { type ServiceState, tellServiceManager } from "./service-manager.ts";

export interface ProgramOptions {
  /** A file, or a directory of them. */
  readonly configFile: string;
  /** Gives the configuration where no file holds it; `configFile` is then what faults are told of. */
  readonly configFrom?: (() => Promise<Config>) | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr?: NodeJS.WritableStream | undefined;
}

/** What serves until it is told to stop. */
interface Service {
  /** For the log's line that says it serves. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Rejects when it can't go on. */
  readonly ended?: Promise<void> | undefined;
  /** Lets what runs finish, and lets go of everything. */
  stop(): Promise<void>;
}

/**
 * Runs one of the programs that serve, with the configuration and the log that
 * its file asks for, until SIGTERM or SIGINT. Resolves with the exit code; a
 * failure is told on standard error.
 */
export async function runUntilStopped(
  options: ProgramOptions & { readonly command: string },
  start: (config: Config, log: Logger, audit: Logger) => Promise<Service>,
): Promise<number> {
  const { command, configFile, env, stderr = process.stderr } = options;
  const { configFrom = () => loadConfig(configFile) } = options;
  const stopped = Promise.withResolvers<NodeJS.Signals>();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stopped.resolve(name));
  try {
    const config = await configFrom();
    const log = createLog(config.log, stderr);
    const service = await start(config, log, createAuditLog(config.log, stderr));
    log.info({ version: packageJson.version, ...service.facts }, "serving");
    await tell("READY", env, log);
    try {
      const signal = await Promise.race([stopped.promise, ...(service.ended ? [service.ended] : [])]);
      log.info({ signal }, "stopping: what runs may finish");
      await tell("STOPPING", env, log);
    } finally {
      await service.stop();
    }
    log.info({}, "stopped");
    return 0;
  } catch (thrown) {
    const { reason, kind, message, details } = asPodplugError(thrown);
    const faults = reason === "INVALID_CONFIGURATION" && details?.includes("\n");
    const told = new PodplugError(reason, faults ? `${configFile}:\n${details}` : message);
    const coloured = "isTTY" in stderr && stderr.isTTY && !env["NO_COLOR"];
    stderr.write(formatError(told, `podplug ${command}`, createColours(coloured)));
    return kinds[kind].exitCode;
  }
}

/** The agent does its work all the same; a service manager that waits for the word gives up by itself. */
async function tell(state: ServiceState, env: ProgramOptions["env"], log: Logger): Promise<void> {
  try {
    await tellServiceManager(state, env);
  } catch (error) {
    log.error({ err: error }, "the service manager can't be told");
  }
}
