import type { Command, Option } from "commander";
import type { PodInterface } from "../../../domain/node-api.ts";
import { annotationEdits } from "../options/annotation.ts";
import { readOption, readTypedLine, type TypedLine, takesValue } from "./command-line.ts";

/** Tells the shell's script to complete file names by itself. */
export const filesMarker = ":files";

/** Where candidates come from that the command line itself doesn't know. Empty when they can't be had. */
export interface Lookup {
  /** What there is now, asked for with the options typed so far. */
  present(values: ReadonlyMap<string, string>): Promise<Present>;
  /** The names in /run/netns of this machine. */
  namedNamespaces(): Promise<readonly string[]>;
}

export interface Present {
  readonly interfaces: readonly PodInterface[];
  /** Of a POD without one. */
  readonly namespace: string;
}

/** Options whose values only the node or the file system knows; those with choices speak for themselves. */
const valueSources: Readonly<Record<string, ValueSource>> = {
  namespace: "namespaces",
  interface: "interfaces",
  id: "ids",
  netns: "netns",
  tokenFile: "files",
  clientCert: "files",
  clientKey: "files",
  ca: "files",
  configFile: "files",
  config: "files",
  kubeconfig: "files",
  dir: "files",
};

type ValueSource = "namespaces" | "pods" | "interfaces" | "networks" | "ids" | "netns" | "files";

/** What an answer of the node's tells. */
type NodeSource = Exclude<ValueSource, "netns" | "files">;

/** What each command's arguments are, in order, when POD is among them. */
const argumentSources: Readonly<Record<string, readonly (NodeSource | "edits")[]>> = {
  annotate: ["edits", "pods", "networks"],
  attach: ["pods", "networks"],
  detach: ["pods", "networks"],
  list: ["pods"],
  watch: ["pods"],
  check: ["pods"],
  top: ["pods"],
};

/**
 * What could stand in the place of the last word. Each candidate is a whole
 * word, or `word<TAB>what it is`.
 */
export async function completeWords(
  program: Command,
  words: readonly string[],
  lookup: Lookup,
): Promise<readonly string[]> {
  const line = readTypedLine(program, words.slice(0, -1));
  const typed = words.at(-1) ?? "";
  if (line.awaiting !== undefined) {
    // The cursor stands right behind bash's own word `=`.
    return ofOption(line.awaiting, typed === "=" ? "" : typed, "", line, lookup);
  }
  if (!line.optionsEnded && typed.startsWith("-")) {
    const equals = typed.indexOf("=");
    if (!typed.startsWith("--") || equals === -1) return optionNames(line.command, typed);
    const { option, value = "" } = readOption(line.command, typed);
    if (option === undefined || !takesValue(option)) return [];
    return ofOption(option, value, typed.slice(0, equals + 1), line, lookup);
  }
  if (line.command === program) return commandNames(program, typed);
  return ofArgument(line, typed, lookup);
}

function commandNames(program: Command, typed: string): string[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .filter((command) => command.name().startsWith(typed))
    .map((command) => `${command.name()}\t${command.summary() || command.description()}`);
}

function optionNames(command: Command, typed: string): string[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap((option) => (option.long?.startsWith(typed) ? [`${option.long}\t${option.description}`] : []));
}

async function ofOption(
  option: Option,
  typed: string,
  prefix: string,
  line: TypedLine,
  lookup: Lookup,
): Promise<readonly string[]> {
  const source = valueSources[option.attributeName()];
  if (option.argChoices !== undefined)
    return matching(option.argChoices, typed).map((value) => prefix + value);
  if (source === undefined) return [];
  if (source === "netns") {
    const names = typed.includes("/")
      ? []
      : matching((await lookup.namedNamespaces()).filter(isPlainWord), typed);
    return names.length > 0 ? names.map((name) => prefix + name) : [filesMarker];
  }
  if (source === "files") return [filesMarker];
  return (await fromNode(source, line, typed, lookup)).map((value) => prefix + value);
}

async function ofArgument(line: TypedLine, typed: string, lookup: Lookup): Promise<readonly string[]> {
  const choices = line.command.registeredArguments[0]?.argChoices;
  if (choices !== undefined) return line.positionals.length === 0 ? matching(choices, typed) : [];
  const sources = argumentSources[line.command.name()] ?? [];
  const targetGiven = line.values.has("netns") || line.values.has("container");
  const source = sources.slice(targetGiven ? 1 : 0)[line.positionals.length];
  if (source === "edits") return matching(annotationEdits, typed);
  return source === undefined ? [] : fromNode(source, line, typed, lookup);
}

async function fromNode(
  source: NodeSource,
  line: TypedLine,
  typed: string,
  lookup: Lookup,
): Promise<readonly string[]> {
  const { interfaces, namespace } = await lookup.present(line.values);
  const home = line.values.get("namespace") ?? namespace;
  const names = interfaces.flatMap((one) => valueOf(source, one, { line, typed, home }) ?? []);
  return matching([...new Set(names)].filter(isPlainWord), typed);
}

interface Typing {
  readonly line: TypedLine;
  readonly typed: string;
  /** The namespace of a POD without one. */
  readonly home: string;
}

function valueOf(source: NodeSource, one: PodInterface, typing: Typing): string | undefined {
  const { line, typed, home } = typing;
  switch (source) {
    case "namespaces":
      return one.pod?.namespace;
    case "pods":
      if (one.pod === undefined) return undefined;
      if (typed.includes("/")) return `${one.pod.namespace}/${one.pod.name}`;
      return one.pod.namespace === home ? one.pod.name : undefined;
    case "networks":
      // Any network may be attached; only what the target has can be detached.
      if (line.command.name() === "detach" && !(one.state !== undefined && isOfTarget(one, typing)))
        return undefined;
      return one.network === "" ? undefined : one.network;
    case "interfaces":
      return one.state !== undefined && isOfTarget(one, typing) ? one.name : undefined;
    case "ids":
      return one.attachmentId === "" ? undefined : one.attachmentId;
  }
}

function isOfTarget(one: PodInterface, { line, home }: Typing): boolean {
  const netns = line.values.get("netns");
  if (netns !== undefined) return one.netns === netns || one.netns.endsWith(`/${netns}`);
  if (line.values.has("container")) return true;
  const [pod] = line.positionals;
  if (pod === undefined || one.pod === undefined) return pod === undefined;
  const { namespace, name } = one.pod;
  return pod === `${namespace}/${name}` || (pod === name && namespace === home);
}

/**
 * Shells put a candidate on the command line as it is, and a pod chooses its
 * interfaces' names: one called `$(reboot)` must not be offered.
 */
function isPlainWord(word: string): boolean {
  return /^[\w.@%+:/,-]+$/.test(word) && !word.startsWith("-");
}

function matching(candidates: readonly string[], typed: string): string[] {
  return candidates.filter((candidate) => candidate.startsWith(typed)).sort();
}
