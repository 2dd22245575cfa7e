import { Command, CommanderError, InvalidArgumentError } from "commander";
import type { NodeClient, NodeClientOptions } from "../node-client.ts";
import { addAgentCommands, type NodePrograms } from "./commands/agent.ts";
import { addAttachCommand } from "./commands/attach.ts";
import { addCertificatesCommand, type ProvideCertificate } from "./commands/certificates.ts";
import { addCheckCommand } from "./commands/check.ts";
import { addCompletionCommands } from "./commands/completion.ts";
import { addDetachCommand } from "./commands/detach.ts";
import type { CommandHost } from "./commands/host.ts";
import { addInfoCommand } from "./commands/info.ts";
import { addListCommand } from "./commands/list.ts";
import { addWatchCommand } from "./commands/watch.ts";
import { type CliIo, exitCodes } from "./io.ts";

export interface CliOptions {
  readonly io: CliIo;
  readonly version: string;
  /** What serves on a node. */
  readonly programs: NodePrograms;
  readonly certificates: ProvideCertificate;
  readonly connect?: ((options: NodeClientOptions) => Promise<NodeClient>) | undefined;
}

/** Runs one command line (without the program's own name); its exit code. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<number> {
  let exitCode: number = exitCodes.done;
  const program = createProgram(options, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof InvalidArgumentError) {
      options.io.stderr.write(`error: ${thrown.message}\n(podplug ${args[0] ?? ""} --help shows how)\n`);
      return exitCodes.usage;
    }
    // commander has written its message already.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    throw thrown;
  }
}

/** The whole command line as commander knows it: what is parsed, helped with, completed and documented. */
export function createProgram(options: CliOptions, finish: (exitCode: number) => void): Command {
  const { io, version, programs, certificates, connect = connectLazily } = options;
  const program = new Command("podplug");
  program
    .description("Plugs network interfaces into running pods, and unplugs them, without a restart.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    .usage("COMMAND [options]")
    .exitOverride()
    .showHelpAfterError("(podplug --help shows how)")
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
  const host: CommandHost = { io, connect, finish };
  program.commandsGroup("Commands:");
  addAttachCommand(program, host);
  addDetachCommand(program, host);
  addListCommand(program, host);
  addWatchCommand(program, host);
  addCheckCommand(program, host);
  addInfoCommand(program, host);
  addAgentCommands(program, programs, host);
  addCertificatesCommand(program, certificates, host);
  addCompletionCommands(program, host);
  for (const command of program.commands) {
    command.showHelpAfterError(`(podplug ${command.name()} --help shows how)`);
  }
  program.addHelpText(
    "after",
    `
Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 not found;
4 denied; 5 unreachable; 130 interrupted.

podplug COMMAND --help shows a command's options, with examples.`,
  );
  return program;
}

async function connectLazily(options: NodeClientOptions): Promise<NodeClient> {
  const { createNodeClient } = await import("../node-client.ts");
  return createNodeClient(options);
}
