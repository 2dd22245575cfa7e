import type { JsonObject, JsonValue } from "../domain/json.ts";

/** Node has these (V8's JSON.parse source text access); TypeScript's library doesn't know them yet. */
interface SourceTextJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): JsonValue;
  rawJSON(text: string): JsonValue;
  isRawJSON(value: unknown): boolean;
}

const json = JSON as unknown as SourceTextJson;

const maxDepth = 200;

/**
 * JSON as a value that prints again with its full meaning: an integer too big
 * for a double stays as it was written, since a plugin may have a use for the
 * key that podplug doesn't know. Throws SyntaxError, also for more than 200
 * levels, so that whatever was parsed can be printed and walked.
 */
export function parseLosslessly(text: string): JsonValue {
  // First without the reviver, which is recursive where the parser isn't.
  requireDepth(JSON.parse(text), maxDepth);
  return json.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && loses(value) ? json.rawJSON(source) : value,
  );
}

/** An object, and not a number that was kept as it was written. */
export function isPlainObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !json.isRawJSON(value);
}

function loses(value: number): boolean {
  return Number.isInteger(value) ? !Number.isSafeInteger(value) : !Number.isFinite(value);
}

function requireDepth(value: unknown, levels: number): void {
  if (typeof value !== "object" || value === null) return;
  if (levels === 0) throw new SyntaxError(`nested deeper than ${maxDepth} levels`);
  for (const member of Object.values(value)) requireDepth(member, levels - 1);
}
