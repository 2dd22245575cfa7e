import type { Command } from "commander";
import { type Invocation, runInvocation } from "../invocation.ts";
import type { CliIo } from "../io.ts";
import { addOutputOptions, type OutputFlags } from "../options/output.ts";
import type { Surface } from "../surface.ts";

/** What the commands share: the process, how agents are reached, and where their exit code goes. */
export interface CommandHost {
  readonly io: CliIo;
  readonly surface: Surface;
  finish(exitCode: number): void;
}

/** A command line without the program's name, and what it does; `node`: where a node's own targets are. */
export type Example = readonly [says: string, line: string, where?: "node"];

export interface NodeCommand<Flags> {
  readonly changes: boolean;
  /** Its own options, in front of those that all node commands have. */
  readonly addOptions: (command: Command) => Command;
  readonly examples: readonly Example[];
  readonly run: (words: readonly string[], flags: Flags, invocation: Invocation) => Promise<number>;
}

/** Completes a command that talks to a node: options, help and action. */
export function defineNodeCommand<Flags extends object>(
  command: Command,
  host: CommandHost,
  { changes, addOptions, examples, run }: NodeCommand<Flags>,
): void {
  const { io, surface } = host;
  surface.addConnectionOptions(addOutputOptions(addOptions(command)));
  // The positional arguments mean different things with different options, so
  // commander only collects them; the usage line shows them.
  command.argument("[words...]").action(async (words: readonly string[], flags: Flags & OutputFlags) => {
    const { program, reach } = surface;
    const options = { io, reach, program, command: command.name(), changes, flags };
    const exitCode = await runInvocation(options, (terminal, { api, namespace }) =>
      run(words, flags, { ...terminal, api, namespace }),
    );
    host.finish(exitCode);
  });
  addExamples(command, surface, examples);
}

export function addExamples(command: Command, surface: Surface, examples: readonly Example[]): void {
  const lines = examples
    .filter(([, , where]) => where !== "node" || surface.targets === "any")
    .map(([says, line]) => `  ${says}:\n    ${surface.program} ${line}\n`);
  command.addHelpText("after", `\nExamples:\n${lines.join("")}`.trimEnd());
}

/** The POD that comes first where no option names the target, and what stands after it. */
export function takePod(
  words: readonly string[],
  targetGiven: boolean,
): { readonly pod: string | undefined; readonly rest: readonly string[] } {
  return targetGiven ? { pod: undefined, rest: words } : { pod: words[0], rest: words.slice(1) };
}
