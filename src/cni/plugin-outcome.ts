import { type FailureFacts, messageOf, PodplugError } from "../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import type { PluginExit } from "./exec-plugin.ts";

/** The CNI commands (spec 1.1.0, section 2). */
export type CniCommand = "ADD" | "DEL" | "CHECK" | "GC" | "STATUS" | "VERSION";

/** The error codes that mean something to a runtime (spec 1.1.0, section 2, "Error"). */
export const errorCodes = { unknownContainer: 3, tryAgainLater: 11 } as const;

/** The spec leaves the delay to the runtime. */
const tryAgainAfterMs = 5000;

const maxQuotedChars = 2000;

/** What a plugin's end means: undefined for success, else PLUGIN_FAILED or PLUGIN_CRASHED. */
export function failureOfExit(
  exit: PluginExit,
  plugin: string,
  command: CniCommand,
): PodplugError | undefined {
  if (exit.signal !== null) {
    const message = `plugin ${plugin} was ended by ${exit.signal} during ${command}`;
    return new PodplugError("PLUGIN_CRASHED", message, { plugin, details: quote(exit.stderr) });
  }
  if (exit.exitCode === 0) return undefined;

  const error = parseError(exit.stdout) ?? parseError(exit.stderr);
  const cniCode = codeOf(error);
  // The specification's code 3 means that there is nothing left to clean up.
  if (command === "DEL" && cniCode === errorCodes.unknownContainer) return undefined;

  const said = error === undefined ? (quote(exit.stdout) ?? quote(exit.stderr)) : quote(error["msg"]);
  const code = cniCode === undefined ? "" : ` with code ${cniCode}`;
  const message = `plugin ${plugin} failed ${command}${code}: ${said ?? `exit code ${exit.exitCode} and no message`}`;
  return new PodplugError("PLUGIN_FAILED", message, {
    plugin,
    cniCode,
    details: error === undefined ? undefined : quote(error["details"]),
    retryAfterMs: cniCode === errorCodes.tryAgainLater ? tryAgainAfterMs : undefined,
  });
}

/** What a program that was never seen to end means: its start failed, its output was too much, or it was ended. */
export function failureOfRun(
  thrown: unknown,
  plugin: string,
  command: CniCommand,
  signal: AbortSignal,
): PodplugError {
  const isAborted = signal.aborted && thrown === signal.reason;
  if (thrown instanceof PodplugError && !isAborted) return namePlugin(thrown, plugin, command);
  if (signal.aborted) return interruption(signal, `plugin ${plugin}`, command, { plugin });
  const message = `plugin ${plugin} couldn't be started for ${command}: ${messageOf(thrown)}`;
  return new PodplugError("PLUGIN_CRASHED", message, { plugin, cause: thrown });
}

/** PLUGIN_TIMEOUT when the signal's reason is a deadline, else CANCELED. */
export function interruption(
  signal: AbortSignal,
  what: string,
  command: CniCommand,
  facts: Pick<FailureFacts, "plugin" | "mayGoOn"> = {},
): PodplugError {
  const cause: unknown = signal.reason;
  return cause instanceof Error && cause.name === "TimeoutError"
    ? new PodplugError("PLUGIN_TIMEOUT", `${what} didn't finish ${command} in time`, { ...facts, cause })
    : new PodplugError("CANCELED", `${what} was ended during ${command}`, { ...facts, cause });
}

/** The same failure with the plugin's name. */
export function namePlugin(error: PodplugError, plugin: string, command: CniCommand): PodplugError {
  return new PodplugError(error.reason, `plugin ${plugin} during ${command} ${error.message}`, {
    plugin,
    cause: error,
  });
}

function parseError(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) && ("msg" in value || "code" in value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function codeOf(error: JsonObject | undefined): number | undefined {
  const code = error?.["code"];
  return typeof code === "number" && Number.isSafeInteger(code) && code >= 0 ? code : undefined;
}

/** Short enough for an event or a record; undefined when there is nothing to quote. */
function quote(value: unknown): string | undefined {
  const text = typeof value === "string" ? value.trim() : "";
  if (text === "") return undefined;
  return text.length <= maxQuotedChars ? text : `${text.slice(0, maxQuotedChars)}…`;
}
