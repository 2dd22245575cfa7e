import type { Logger } from "../../src/domain/log.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A logger that keeps what it is told. */
export function createRecordingLog(): Logger & { readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const keep = (level: string) => (facts: object, message: string) => {
    lines.push({ level, message, facts: { ...facts } });
  };
  const log = {
    lines,
    debug: keep("debug"),
    info: keep("info"),
    warn: keep("warn"),
    error: keep("error"),
    child: () => log,
  };
  return log;
}
