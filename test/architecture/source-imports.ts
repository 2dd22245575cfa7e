import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

export interface Import {
  /** The file that imports, from the tree's root: `src/cni/add.ts`. */
  readonly from: string;
  /** A file of the tree in the same form, or a package's specifier as written. */
  readonly to: string;
  readonly isPackage: boolean;
  /** Erased before it runs: `import type` and `export type`. */
  readonly typeOnly: boolean;
  /** Runs only when it is reached: `await import("…")`. */
  readonly lazy: boolean;
}

/** Biome writes every import in this form: a statement begins its line and keeps its specifier in double quotes. */
const statement = /^(?:import|export)\s+(?<type>type\s)?(?:[^;"']*?\sfrom\s+)?"(?<specifier>[^"]+)"/gm;
const dynamic = /\bimport\(\s*"(?<specifier>[^"]+)"/g;

export function importsOf(from: string, text: string): readonly Import[] {
  const resolve = (specifier: string, facts: Pick<Import, "typeOnly" | "lazy">): Import => {
    const isPackage = !specifier.startsWith(".");
    return {
      from,
      to: isPackage ? specifier : normalize(join(dirname(from), specifier)),
      isPackage,
      ...facts,
    };
  };
  return [
    ...Array.from(text.matchAll(statement), ({ groups }) =>
      resolve(groups?.["specifier"] ?? "", { typeOnly: groups?.["type"] !== undefined, lazy: false }),
    ),
    ...Array.from(text.matchAll(dynamic), ({ groups }) =>
      resolve(groups?.["specifier"] ?? "", { typeOnly: false, lazy: true }),
    ),
  ];
}

/** Every TypeScript file below src and gen, with its text, by its path from the tree's root. */
export function readSources(root: string): ReadonlyMap<string, string> {
  const paths = globSync(["src/**/*.ts", "gen/**/*.ts"], { cwd: root }).sort();
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

/**
 * The shortest chain of imports from `start` to something that `forbidden`
 * names, of those that are loaded at once when `start` is; undefined when
 * there is none.
 */
export function chainTo(
  start: string,
  imports: readonly Import[],
  forbidden: (to: string) => boolean,
): readonly string[] | undefined {
  const bySource = Map.groupBy(
    imports.filter(({ typeOnly, lazy }) => !typeOnly && !lazy),
    ({ from }) => from,
  );
  const seen = new Set([start]);
  const queue: (readonly string[])[] = [[start]];
  for (let chain = queue.shift(); chain !== undefined; chain = queue.shift()) {
    const last = chain.at(-1) ?? start;
    if (last !== start && forbidden(last)) return chain;
    for (const { to } of bySource.get(last) ?? []) {
      if (seen.has(to)) continue;
      seen.add(to);
      queue.push([...chain, to]);
    }
  }
  return undefined;
}
