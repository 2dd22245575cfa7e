import { createRequire } from "node:module";
import { join } from "node:path";
import { Script } from "node:vm";

/** The program's bundles, each the body of a function of CommonJS's arguments. */
export const parts = ["main", "agent", "cluster"] as const;
export type Part = (typeof parts)[number];

export interface ProgramSource {
  code(part: Part): Buffer | undefined;
  /** V8's compiled form of it, made by the same Node.js; without it the start takes three times as long. */
  compiled?(part: Part): Buffer | undefined;
  /** Where the bundles count as being: files of the tree are found from there. */
  readonly directory: string;
  loaded?(part: Part, script: Script): void;
}

/** What Node's own loader does with files, for bundles that are held in memory. */
export function runProgram({ code, compiled, directory, loaded }: ProgramSource): void {
  const filename = join(directory, "podplug");
  const requireOther = createRequire(filename);
  const requirePart = (id: string): unknown => {
    const part = parts.find((each) => id === `./${each}.cjs`);
    return part === undefined ? requireOther(id) : load(part);
  };

  function load(part: Part): unknown {
    const text = code(part)?.toString("latin1");
    if (text === undefined) throw new Error(`the executable has no ${part}`);
    const cachedData = compiled?.(part);
    const script = new Script(text, {
      filename: `${part}.cjs`,
      ...(cachedData ? { cachedData } : {}),
    });
    loaded?.(part, script);
    const module = { exports: {} as unknown };
    const body = script.runInThisContext() as (...args: readonly unknown[]) => void;
    body(module.exports, requirePart, module, filename, directory);
    return module.exports;
  }

  load("main");
}
