import { Writable } from "node:stream";
import { pino } from "pino";
import type { Config } from "./config.ts";
import type { Logger } from "./domain/log.ts";
import { currentScope } from "./request-scope.ts";

/** The agent's log: one JSON object a line, or lines for people; each with the ID of the request it is about. */
export function createLog({ level, format }: Config["log"], stream: NodeJS.WritableStream): Logger {
  const settings = {
    level,
    base: null,
    mixin: requestFacts,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(settings, format === "json" ? stream : prettyStream(stream));
}

/** What is written whatever the log's level: who changed what, and who was refused. */
export function createAuditLog({ format }: Config["log"], stream: NodeJS.WritableStream): Logger {
  return createLog({ level: "info", format }, stream).child({ audit: true });
}

function requestFacts(): { requestId?: string } {
  const requestId = currentScope()?.requestId;
  return requestId === undefined ? {} : { requestId };
}

function prettyStream(stream: NodeJS.WritableStream): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string | Buffer, _encoding, done) {
      stream.write(prettyLine(String(line)), done);
    },
  });
}

/** `10:31:02.123 INFO  attached  interface=net1 network=blue`; JSON keeps control characters escaped. */
function prettyLine(line: string): string {
  const { time, level, msg, err, ...facts } = JSON.parse(line) as {
    time: string;
    level: string;
    msg: string;
    err?: { message?: string; stack?: string };
  };
  const words = Object.entries(facts).map(([key, value]) => `${key}=${plain(value)}`);
  if (err) words.push(`error=${plain(err.message ?? err)}`);
  return `${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${[msg, ...words].join("  ")}\n`;
}

function plain(value: unknown): string {
  const text = JSON.stringify(value);
  return typeof value === "string" && /^[\w./:@+-]+$/.test(value) ? value : text;
}
