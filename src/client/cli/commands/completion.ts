import { Argument, type Command } from "commander";
import { type Shell, shells } from "../completion/shells.ts";
import type { CommandHost } from "./host.ts";

export function addCompletionCommands(program: Command, host: CommandHost): void {
  program
    .command("completion")
    .summary("print a completion script for a shell")
    .description("Prints the script that makes a shell complete podplug's commands, options and values.")
    .usage("bash|zsh|fish")
    .addArgument(new Argument("<shell>", "the shell").choices(shells))
    .addHelpText(
      "after",
      `
Examples:
  In this bash:
    source <(podplug completion bash)
  In every zsh:
    podplug completion zsh > "\${fpath[1]}/_podplug"
  In every fish:
    podplug completion fish > ~/.config/fish/completions/podplug.fish`,
    )
    .action(async (shell: Shell) => {
      const { completionScript } = await import("../completion/scripts.ts");
      host.io.stdout.write(completionScript(shell));
    });
  // What the scripts call: the words up to the cursor, the last one being
  // completed. Nothing may be said on standard error, into the user's prompt.
  program
    .command("__complete", { hidden: true })
    .argument("[words...]")
    .allowUnknownOption()
    .helpOption(false)
    .action(async (words: readonly string[]) => {
      const { completeWords } = await import("../completion/complete.ts");
      const { createLookup } = await import("../completion/lookup.ts");
      const candidates = await completeWords(program, words, createLookup(host));
      host.io.stdout.write(candidates.map((candidate) => `${candidate}\n`).join(""));
    });
}
