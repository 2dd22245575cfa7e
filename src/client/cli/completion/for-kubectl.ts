import type { Command } from "commander";
import type { CommandHost } from "../commands/host.ts";

/** What kubectl does beside the candidates (spf13/cobra's ShellCompDirective): complete file names, or nothing. */
const withFiles = ":0";
const withoutFiles = ":4";

/**
 * `kubectl_complete-podplug` calls this with the words up to the cursor; kubectl
 * reads a candidate on each line, and a directive on the last.
 */
export function addKubectlCompletion(program: Command, host: CommandHost): void {
  program
    .command("__complete", { hidden: true })
    .argument("[words...]")
    .allowUnknownOption()
    .helpOption(false)
    .action(async (words: readonly string[]) => {
      const { completeWords, filesMarker } = await import("./complete.ts");
      const { createLookup } = await import("./lookup.ts");
      const candidates = await completeWords(program, words, createLookup(host));
      const lines = candidates[0] === filesMarker ? [withFiles] : [...candidates, withoutFiles];
      host.io.stdout.write(lines.map((line) => `${line}\n`).join(""));
    });
}
