import { readFile } from "node:fs/promises";
import { eventually } from "../server/eventually.ts";

/** One system call of a traced program or its children. */
export interface SystemCall {
  readonly name: string;
  /** All that stands between its parentheses, with the paths of descriptors. */
  readonly args: string;
  readonly result: string;
  /** When it began and ended, by the order in which the kernel told of it. */
  readonly begun: number;
  readonly ended: number;
}

/**
 * A command that runs another one under strace as its own child: the tracer
 * stands aside, so that signals reach the program itself.
 */
export function traceTo(file: string, calls: readonly string[]): readonly string[] {
  return [
    "strace",
    "--daemonize",
    "--follow-forks",
    "--decode-fds=path",
    "--no-abbrev",
    "--string-limit=65536",
    `--trace=${calls.join(",")}`,
    `--output=${file}`,
  ];
}

/** Once the program with this PID has ended. */
export async function readTrace(file: string, pid: number): Promise<readonly SystemCall[]> {
  let lines: readonly string[] = [];
  const over = new RegExp(`^${pid} +\\+\\+\\+ (exited|killed) `);
  await eventually(async () => {
    lines = (await readFile(file, "utf8")).split("\n");
    return lines.some((line) => over.test(line));
  }, "the trace is whole");
  return parse(lines);
}

/** A call during which others were told of stands in two lines. */
function parse(lines: readonly string[]): readonly SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, { readonly text: string; readonly begun: number }>();
  for (const [at, line] of lines.entries()) {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const [, before] = /^(.*) <unfinished \.\.\.>$/.exec(rest) ?? [];
    if (before !== undefined) {
      unfinished.set(thread, { text: before, begun: at });
      continue;
    }
    const [, after] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? [];
    const { text, begun } = (after !== undefined && unfinished.get(thread)) || { text: "", begun: at };
    const [, name, args, result] = /^(\w+)\((.*)\) += (.*)$/.exec(text + (after ?? rest)) ?? [];
    if (name !== undefined && args !== undefined && result !== undefined) {
      calls.push({ name, args, result, begun, ended: at });
    }
  }
  return calls;
}
