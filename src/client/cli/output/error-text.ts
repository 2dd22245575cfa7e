import type { PodplugError } from "../../../domain/errors.ts";
import { reasons } from "../../../domain/reasons.ts";
import type { Colours } from "./colours.ts";
import { visible, visibleLines } from "./visible.ts";

/** An error for a person: what failed, who said so, what more was said, what to do, and the word to look up. */
export function formatError(error: PodplugError, doing: string, colours: Colours): string {
  const [first = "", ...more] = visibleLines(error.message);
  const facts: [string, string[]][] = [["reason", [error.reason]]];
  if (error.plugin !== undefined) {
    const code = error.cniCode === undefined ? "" : ` (CNI code ${error.cniCode})`;
    facts.push(["plugin", [visible(error.plugin) + code]]);
  }
  if (error.details !== undefined) facts.push(["details", visibleLines(error.details)]);
  if (error.retryAfterMs !== undefined) {
    facts.push(["try again", [`in ${Math.ceil(error.retryAfterMs / 1000)} s`]]);
  }
  facts.push(["next step", [reasons[error.reason].cure]]);
  const lines = facts.flatMap(([name, texts]) =>
    texts.map((text, index) => `  ${colours.quiet((index === 0 ? name : "").padEnd(10))} ${text}`),
  );
  return [`${colours.bad(`${doing}:`)} ${first}`, ...more.map((line) => `  ${line}`), ...lines]
    .map((line) => `${line}\n`)
    .join("");
}
