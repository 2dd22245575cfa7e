import { asPodplugError, kinds, type PodplugError } from "../../domain/errors.ts";
import type { NodeApi } from "../../domain/node-api.ts";
import type { NodeClient, NodeClientOptions } from "../node-client.ts";
import type { CliIo } from "./io.ts";
import { type ConnectionFlags, readConnection } from "./options/connection.ts";
import type { OutputFlags } from "./options/output.ts";
import { type Colours, createColours } from "./output/colours.ts";
import { isDocumentFormat, type OutputFormat } from "./output/documents.ts";
import { formatError } from "./output/error-text.ts";
import { withProgress } from "./output/progress.ts";

export type NodeFlags = ConnectionFlags & OutputFlags;

/** What a command that talks to a node has at hand. */
export interface Invocation {
  readonly api: NodeApi;
  /** Aborts when the user wants the command to end. */
  readonly signal: AbortSignal;
  readonly format: OutputFormat;
  /** As standard output takes them. */
  readonly colours: Colours;
  now(): Date;
  readStdin(): Promise<string>;
  /** To standard output, as it is. */
  print(text: string): void;
  /** One line to standard error: for people, never part of the output. */
  note(line: string): void;
  /** Waits for work on the node; `doing` is shown on a terminal when it takes long. */
  waitFor<T>(doing: string, work: () => Promise<T>): Promise<T>;
  /** Tells of a failure as the output format asks, and gives its exit code. */
  report(error: PodplugError): Promise<number>;
}

export interface InvocationOptions {
  readonly io: CliIo;
  /** Imported only when it is needed: helping and completing need no transport. */
  readonly connect: (options: NodeClientOptions) => Promise<NodeClient>;
  /** The command's name, for its errors. */
  readonly command: string;
  /** Whether the command changes the node, so that ending it early leaves something going on. */
  readonly changes: boolean;
  readonly flags: NodeFlags;
}

/** Runs a command's work on a connection of its own; the exit code, whatever happens. */
export async function runInvocation(
  { io, connect, command, changes, flags }: InvocationOptions,
  work: (invocation: Invocation) => Promise<number>,
): Promise<number> {
  const { stdout, stderr, clock } = io;
  const coloured = flags.color && !io.env.noColor;
  const report = async (error: PodplugError): Promise<number> => {
    const colours = createColours(coloured && stderr.isTTY === true);
    stderr.write(
      isDocumentFormat(flags.output) ? await errorDocument(error) : formatError(error, command, colours),
    );
    return kinds[error.kind].exitCode;
  };
  const interruption = io.interruption();
  try {
    await using api = await connect(readConnection(flags, io.env));
    const exitCode = await work({
      api,
      signal: interruption.signal,
      format: flags.output,
      colours: createColours(coloured && stdout.isTTY === true),
      now: () => clock.now(),
      readStdin: () => io.readStdin(),
      print: (text) => stdout.write(text),
      note: (line) => stderr.write(`${line}\n`),
      waitFor: (doing, wait) => withProgress(doing, io, wait),
      report,
    });
    return interruption.signal.aborted ? interruption.exitCode() : exitCode;
  } catch (thrown) {
    if (isUsageError(thrown)) throw thrown;
    if (interruption.signal.aborted) {
      stderr.write(
        changes
          ? `podplug ${command}: interrupted; a change that had begun goes on, and podplug list shows how it ends\n`
          : `podplug ${command}: interrupted\n`,
      );
      return interruption.exitCode();
    }
    return report(asPodplugError(thrown));
  }
}

/** commander's error for arguments that can't be used; told by its code, since importing its class isn't needed here. */
function isUsageError(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "commander.invalidArgument";
}

async function errorDocument(error: PodplugError): Promise<string> {
  const { failureDocument } = await import("./output/answer-documents.ts");
  const { formatStreamed } = await import("./output/documents.ts");
  return formatStreamed({ error: failureDocument(error) }, "json");
}
