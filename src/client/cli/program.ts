import { Command, CommanderError, InvalidArgumentError } from "commander";
import { addAgentCommands, type NodePrograms } from "./commands/agent.ts";
import { addAttachCommand } from "./commands/attach.ts";
import { addCertificatesCommand, type ProvideCertificate } from "./commands/certificates.ts";
import { addCheckCommand } from "./commands/check.ts";
import { addCompletionCommands } from "./commands/completion.ts";
import { addDetachCommand } from "./commands/detach.ts";
import type { CommandHost } from "./commands/host.ts";
import { addInfoCommand } from "./commands/info.ts";
import { addListCommand } from "./commands/list.ts";
import { addTopCommand } from "./commands/top.ts";
import { addWatchCommand } from "./commands/watch.ts";
import { type CliIo, exitCodes } from "./io.ts";
import { type Connect, createNodeSurface } from "./node-surface.ts";

export interface CliOptions {
  readonly io: CliIo;
  readonly version: string;
  /** What serves on a node. */
  readonly programs: NodePrograms;
  readonly certificates: ProvideCertificate;
  readonly connect?: Connect | undefined;
}

/** Runs one command line of `podplug` (without the program's own name); its exit code. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<number> {
  return await runProgram(args, options.io, (finish) => createProgram(options, finish));
}

/** The whole command line of `podplug` as commander knows it: what is parsed, helped with, completed and documented. */
export function createProgram(options: CliOptions, finish: (exitCode: number) => void): Command {
  const { io, version, programs, certificates } = options;
  const host = { io, surface: createNodeSurface(options.connect), finish };
  return createCommandLine({
    host,
    version,
    description: "Plugs network interfaces into running pods, and unplugs them, without a restart.",
    addCommands(program) {
      addAttachCommand(program, host);
      addDetachCommand(program, host);
      addListCommand(program, host);
      addWatchCommand(program, host);
      addCheckCommand(program, host);
      addTopCommand(program, host);
      addInfoCommand(program, host);
      addAgentCommands(program, programs, host);
      addCertificatesCommand(program, certificates, host);
      addCompletionCommands(program, host);
    },
  });
}

/** Runs a command line to its exit code, which the commands say by `finish`. */
export async function runProgram(
  args: readonly string[],
  io: CliIo,
  create: (finish: (exitCode: number) => void) => Command,
): Promise<number> {
  let exitCode: number = exitCodes.done;
  const program = create((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof InvalidArgumentError) {
      io.stderr.write(`error: ${thrown.message}\n(${program.name()} ${args[0] ?? ""} --help shows how)\n`);
      return exitCodes.usage;
    }
    // commander has written its message already.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    throw thrown;
  }
}

interface CommandLine {
  readonly host: CommandHost;
  readonly version: string;
  readonly description: string;
  readonly addCommands: (program: Command) => void;
}

/** What every program with these commands has: help, errors, exit codes. */
export function createCommandLine({ host, version, description, addCommands }: CommandLine): Command {
  const { io, surface } = host;
  const { program: name } = surface;
  const program = new Command(name);
  program
    .description(description)
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    .usage("COMMAND [options]")
    .exitOverride()
    .showHelpAfterError(`(${name} --help shows how)`)
    .configureHelp({
      subcommandTerm: (command) =>
        `${command.name()} ${command.usage().replace("[options]", "").trim()}`.trim(),
    })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns || 100,
      getErrHelpWidth: () => io.stderr.columns || 100,
      getOutHasColors: () => io.stdout.isTTY === true && !io.env.noColor,
      getErrHasColors: () => io.stderr.isTTY === true && !io.env.noColor,
    });
  program.commandsGroup("Commands:");
  addCommands(program);
  for (const command of program.commands) {
    command.showHelpAfterError(`(${name} ${command.name()} --help shows how)`);
  }
  program.addHelpText(
    "after",
    `
Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 not found;
4 denied; 5 unreachable; 130 interrupted.

${name} COMMAND --help shows a command's options, with examples.`,
  );
  return program;
}
