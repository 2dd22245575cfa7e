import { type Command, Option } from "commander";
import { type OutputFormat, outputFormats } from "../output/documents.ts";

export interface OutputFlags {
  readonly output: OutputFormat;
  /** False with --no-color. */
  readonly color: boolean;
}

export function addOutputOptions(command: Command): Command {
  return command
    .optionsGroup("Output:")
    .addOption(
      new Option("-o, --output <format>", "table, wide, or the API's own answer as json or yaml")
        .choices(outputFormats)
        .default("table"),
    )
    .option("--no-color", "never colour the output ($NO_COLOR does the same)");
}
