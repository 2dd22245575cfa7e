import type { Command } from "commander";

export function addAgentCommand(
  program: Command,
  startAgent: (configFile: string) => Promise<number>,
  finish: (exitCode: number) => void,
): void {
  program
    .command("agent")
    .summary("run the node agent")
    .description(
      "Runs the node's agent until SIGTERM or SIGINT: it serves the API and plugs for whoever asks.",
    )
    .usage("--config FILE")
    .requiredOption("--config <file>", "the agent's configuration, YAML or JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  With a configuration file:\n    podplug agent --config /etc/podplug/config.yaml",
    )
    .action(async ({ config }: { readonly config: string }) => {
      finish(await startAgent(config));
    });
}
