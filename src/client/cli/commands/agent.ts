import type { Command } from "commander";
import { defaultServer } from "../../server-address.ts";
import type { CommandHost } from "./host.ts";

/** The programs that serve on a node until they are told to stop, each with its exit code. */
export interface NodePrograms {
  agent(configFile: string): Promise<number>;
  /** The agent without its controller. */
  server(configFile: string): Promise<number>;
  /** The controller alone, a client of the server at that address. */
  controller(configFile: string, server: string): Promise<number>;
}

const configOption = [
  "--config <file>",
  "the agent's configuration, YAML or JSON, or a directory of such files",
] as const;

export function addAgentCommands(
  program: Command,
  programs: NodePrograms,
  { io, finish }: CommandHost,
): void {
  program
    .command("agent")
    .summary("run the node agent")
    .description(
      "Runs the node's agent until SIGTERM or SIGINT: it serves the API and plugs for whoever asks.",
    )
    .usage("--config FILE")
    .requiredOption(...configOption)
    .addHelpText(
      "after",
      "\nExamples:\n  With a configuration file:\n    podplug agent --config /etc/podplug/config.yaml",
    )
    .action(async ({ config }: { readonly config: string }) => {
      finish(await programs.agent(config));
    });
  program
    .command("server")
    .summary("run the agent without its controller")
    .description(
      "Runs the node's agent without the controller that watches pods, until SIGTERM or\nSIGINT. podplug controller runs that one, in a process of its own.",
    )
    .usage("--config FILE")
    .requiredOption(...configOption)
    .addHelpText(
      "after",
      "\nExamples:\n  With a configuration file:\n    podplug server --config /etc/podplug/config.yaml",
    )
    .action(async ({ config }: { readonly config: string }) => {
      finish(await programs.server(config));
    });
  program
    .command("controller")
    .summary("run the agent's controller alone")
    .description(
      "Watches the node's pods and plugs what their annotations ask for, as a client of\npodplug server, until SIGTERM or SIGINT. Both read the same configuration: the\nserver knows its controller by a key in stateDir.",
    )
    .usage("--config FILE [--server ADDRESS]")
    .requiredOption(...configOption)
    .option("--server <address>", `podplug server's socket (default: $PODPLUG_SERVER, then ${defaultServer})`)
    .addHelpText(
      "after",
      "\nExamples:\n  Beside podplug server:\n    podplug controller --config /etc/podplug/config.yaml --server unix:///run/podplug/podplug.sock",
    )
    .action(async ({ config, server }: { readonly config: string; readonly server?: string }) => {
      finish(await programs.controller(config, server ?? io.env.server ?? defaultServer));
    });
}
