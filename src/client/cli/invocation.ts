import { asPodplugError, type PodplugError } from "../../domain/errors.ts";
import { kinds } from "../../domain/reasons.ts";
import type { CliIo } from "./io.ts";
import type { OutputFlags } from "./options/output.ts";
import { type Colours, createColours } from "./output/colours.ts";
import { isDocumentFormat, type OutputFormat } from "./output/documents.ts";
import { formatError } from "./output/error-text.ts";
import { withProgress } from "./output/progress.ts";
import type { Reached, ReachOptions } from "./surface.ts";

/** What a command has at hand that talks to agents. */
export type Invocation = Terminal & Pick<Reached, "api" | "namespace">;

/** What every command has at hand that works for somebody who waits. */
export interface Terminal {
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

export interface InvocationOptions<What extends AsyncDisposable> {
  readonly io: CliIo;
  /** Opens what the command works on. */
  readonly reach: (options: ReachOptions) => Promise<What>;
  /** The program's name, for its errors. */
  readonly program: string;
  readonly command: string;
  /** Whether the command changes the node, so that ending it early leaves something going on. */
  readonly changes: boolean;
  readonly flags: OutputFlags;
}

/** Runs a command's work on what it reaches, which is closed at the end; the exit code, whatever happens. */
export async function runInvocation<What extends AsyncDisposable>(
  { io, reach, program, command, changes, flags }: InvocationOptions<What>,
  work: (terminal: Terminal, reached: What) => Promise<number>,
): Promise<number> {
  const { stdout, stderr, clock } = io;
  const coloured = flags.color && !io.env.noColor;
  const report = async (error: PodplugError): Promise<number> => {
    const colours = createColours(coloured && stderr.isTTY === true);
    stderr.write(
      isDocumentFormat(flags.output)
        ? await errorDocument(error)
        : formatError(error, `${program} ${command}`, colours),
    );
    return kinds[error.kind].exitCode;
  };
  const interruption = io.interruption();
  // Of agents that failed beside others: told at once, and the exit code says that there were some.
  const partial: Promise<number>[] = [];
  try {
    await using reached = await reach({
      flags,
      io,
      signal: interruption.signal,
      onFailure: (failure) => partial.push(report(failure)),
    });
    const terminal: Terminal = {
      signal: interruption.signal,
      format: flags.output,
      colours: createColours(coloured && stdout.isTTY === true),
      now: () => clock.now(),
      readStdin: () => io.readStdin(),
      print: (text) => stdout.write(text),
      note: (line) => stderr.write(`${line}\n`),
      waitFor: (doing, wait) => withProgress(doing, io, wait),
      report,
    };
    const exitCode = await work(terminal, reached);
    const [failed = 0] = await Promise.all(partial);
    return interruption.signal.aborted ? interruption.exitCode() : exitCode || failed;
  } catch (thrown) {
    if (isUsageError(thrown)) throw thrown;
    if (interruption.signal.aborted) {
      stderr.write(
        changes
          ? `${program} ${command}: interrupted; a change that had begun goes on, and ${program} list shows how it ends\n`
          : `${program} ${command}: interrupted\n`,
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
