import { join } from "node:path";
import { expect, test } from "vitest";
import { readSources } from "./source-imports.ts";

const sources = readSources(join(import.meta.dirname, "../.."));

interface LogCall {
  readonly where: string;
  readonly message: string;
}

/** Each `log.info(facts, message)` of a source, with the source text of its message. */
function logCallsOf(path: string, text: string): readonly LogCall[] {
  return Array.from(text.matchAll(/\blog\.(?:debug|info|warn|error)\(/g), ({ index, 0: start }) => {
    const line = text.slice(0, index).split("\n").length;
    const message = lastArgument(text.slice(index + start.length));
    return { where: `${path}:${line}`, message };
  });
}

/** Of the arguments up to the closing parenthesis. */
function lastArgument(rest: string): string {
  let depth = 0;
  let quote = "";
  let begin = 0;
  let end = rest.length;
  for (let index = 0; index < rest.length; index += 1) {
    const character = rest.charAt(index);
    if (quote !== "") {
      if (character === "\\") index += 1;
      else if (character === quote) quote = "";
    } else if (/["'`]/.test(character)) quote = character;
    else if (/[([{]/.test(character)) depth += 1;
    else if (character === "," && depth === 0 && !/^\s*\)/.test(rest.slice(index + 1))) begin = index + 1;
    else if (/[)\]}]/.test(character)) {
      if (depth === 0) {
        end = index;
        break;
      }
      depth -= 1;
    }
  }
  return rest
    .slice(begin, end)
    .replace(/,?\s*$/, "")
    .trim();
}

test("what is logged has a constant message, and what varies in its facts", () => {
  const calls = Array.from(sources, ([path, text]) => logCallsOf(path, text)).flat();
  expect(calls.length).toBeGreaterThan(50);
  // A name stands for one of a few constants that are chosen from beside it.
  const varying = calls.filter(({ message }) => !/^("[^"]+"|\w+)$/.test(message));
  expect(varying).toEqual([]);
});

test.each([
  ['log.info({ a }, "done");', '"done"'],
  ["log.warn(\n  { a: f(b, c) },\n  `on ${x}`,\n);", "`on ${x}`"],
  ['log.error({ text: "a, b)" }, "it\'s, so");', '"it\'s, so"'],
])("of %j the message is %s", (text, message) => {
  expect(logCallsOf("x.ts", text).map((call) => call.message)).toEqual([message]);
});
