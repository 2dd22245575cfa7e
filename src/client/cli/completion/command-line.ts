import type { Command, Option } from "commander";

/** A command line being typed, understood as far as it goes. */
export interface TypedLine {
  /** The program itself while no command was typed. */
  readonly command: Command;
  readonly positionals: readonly string[];
  /** Values by the option's attribute name; the last one where several were given. */
  readonly values: ReadonlyMap<string, string>;
  /** The option whose value is being typed. */
  readonly awaiting: Option | undefined;
  /** After `--` nothing is an option. */
  readonly optionsEnded: boolean;
}

/** Reads the whole words before the one being completed; what makes no sense is passed over. */
export function readTypedLine(program: Command, words: readonly string[]): TypedLine {
  let command = program;
  let awaiting: Option | undefined;
  let optionsEnded = false;
  const positionals: string[] = [];
  const values = new Map<string, string>();
  for (const word of words) {
    if (awaiting !== undefined) {
      // bash takes `--output=json` for three words.
      if (word === "=") continue;
      values.set(awaiting.attributeName(), word);
      awaiting = undefined;
    } else if (!optionsEnded && word === "--") {
      optionsEnded = true;
    } else if (!optionsEnded && word.startsWith("-") && word !== "-") {
      const { option, value } = readOption(command, word);
      if (option !== undefined && takesValue(option)) {
        if (value === undefined) awaiting = option;
        else values.set(option.attributeName(), value);
      }
    } else {
      const found = command === program ? findCommand(program, word) : undefined;
      if (found === undefined) positionals.push(word);
      else command = found;
    }
  }
  return { command, positionals, values, awaiting, optionsEnded };
}

/** `--name`, `--name=value`, `-n` or `-nvalue`. */
export function readOption(
  command: Command,
  word: string,
): { readonly option: Option | undefined; readonly value: string | undefined } {
  const isLong = word.startsWith("--");
  const equals = isLong ? word.indexOf("=") : -1;
  const flag = isLong ? (equals === -1 ? word : word.slice(0, equals)) : word.slice(0, 2);
  const value = isLong ? (equals === -1 ? undefined : word.slice(equals + 1)) : word.slice(2) || undefined;
  return { option: command.options.find(({ long, short }) => long === flag || short === flag), value };
}

export function takesValue(option: Option): boolean {
  return option.required || option.optional;
}

function findCommand(program: Command, word: string): Command | undefined {
  return program.commands.find((command) => command.name() === word || command.aliases().includes(word));
}
