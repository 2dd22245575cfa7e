import type { Command } from "commander";
import { type Invocation, type InvocationOptions, type NodeFlags, runInvocation } from "../invocation.ts";
import { addConnectionOptions } from "../options/connection.ts";
import { addOutputOptions } from "../options/output.ts";

/** What the commands share: the process, how to connect, and where their exit code goes. */
export interface CommandHost extends Pick<InvocationOptions, "io" | "connect"> {
  finish(exitCode: number): void;
}

export interface NodeCommand<Flags> {
  readonly changes: boolean;
  /** Its own options, in front of those that all node commands have. */
  readonly addOptions: (command: Command) => Command;
  readonly examples: readonly (readonly [says: string, command: string])[];
  readonly run: (words: readonly string[], flags: Flags, invocation: Invocation) => Promise<number>;
}

/** Completes a command that talks to a node: options, help and action. */
export function defineNodeCommand<Flags extends object>(
  command: Command,
  host: CommandHost,
  { changes, addOptions, examples, run }: NodeCommand<Flags>,
): void {
  addConnectionOptions(addOutputOptions(addOptions(command)));
  // The positional arguments mean different things with different options, so
  // commander only collects them; the usage line shows them.
  command.argument("[words...]").action(async (words: readonly string[], flags: Flags & NodeFlags) => {
    const options = { io: host.io, connect: host.connect, command: command.name(), changes, flags };
    host.finish(await runInvocation(options, (invocation) => run(words, flags, invocation)));
  });
  const lines = examples.map(([says, line]) => `  ${says}:\n    ${line}\n`);
  command.addHelpText("after", `\nExamples:\n${lines.join("")}`.trimEnd());
}

/** The POD that comes first where no option names the target, and what stands after it. */
export function takePod(
  words: readonly string[],
  targetGiven: boolean,
): { readonly pod: string | undefined; readonly rest: readonly string[] } {
  return targetGiven ? { pod: undefined, rest: words } : { pod: words[0], rest: words.slice(1) };
}
