/**
 * The one seam through which a program is run. Everything around it (busy
 * files tried again, what escapes, what the output means) is written against
 * this type, so that a faster way to start a process can take its place.
 */
export type ExecPlugin = (run: PluginRun, signal: AbortSignal) => Promise<PluginExit>;

export interface PluginRun {
  /** Absolute. */
  readonly path: string;
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/**
 * How a program that started has ended.
 *
 * An ExecPlugin rejects in every other case: with Node's own error (`code`
 * ETXTBSY, EACCES, …) when the program couldn't be started, with
 * PLUGIN_BAD_OUTPUT when it printed more than `maxStdoutBytes` or
 * `maxStderrBytes`, with the signal's reason when it aborted. When it
 * rejects, the program is gone and its process group was sent SIGKILL.
 */
export interface PluginExit {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** The name of the signal that ended it. */
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A CNI result is a few kilobytes; these bounds keep a plugin run wild from taking the agent with it. */
export const maxStdoutBytes = 8 * 1024 * 1024;
export const maxStderrBytes = 1024 * 1024;

/**
 * How long a child that the plugin left behind may keep the output open after
 * the plugin's own end. What the plugin itself printed is in the pipes by
 * then; this is the time to read it, also on a loaded node.
 */
export const outputGraceMs = 100;
