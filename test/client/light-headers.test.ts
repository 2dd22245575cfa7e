import fc from "fast-check";
import { expect, test } from "vitest";
import { Headers as LightHeaders } from "../../scripts/light-headers.ts";

const name = fc.constantFrom(
  "a",
  "A",
  "Content-Type",
  "content-type",
  "x-b",
  "Trailer-C",
  "grpc-status-details-bin",
);
const value = fc.stringMatching(/^ ?[\x21-\x7e][\x20-\x7e]{0,11}$/);
const step = fc.oneof(
  fc.record({ do: fc.constantFrom("append" as const, "set" as const), name, value }),
  fc.record({ do: fc.constant("delete" as const), name }),
);

/** All that can be seen of them. */
function seen(headers: Headers | LightHeaders) {
  const visited: [string, string][] = [];
  headers.forEach((text, key) => visited.push([key, text]));
  const got = ["a", "CONTENT-TYPE", "x-b", "none"].map((key) => [headers.get(key), headers.has(key)]);
  return { visited, got, iterated: [...headers], entries: [...headers.entries()] };
}

test("the bundle's headers are what Node's own would be", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 4 }), fc.array(step), (init, steps) => {
      const pairs: [string, string][] = init;
      for (const start of [pairs, Object.fromEntries(pairs), new Headers(pairs)]) {
        const real = new Headers(start);
        const light = new LightHeaders(start);
        for (const headers of [real, light]) {
          for (const one of steps) {
            if (one.do === "delete") headers.delete(one.name);
            else headers[one.do](one.name, one.value);
          }
        }
        expect(seen(light)).toEqual(seen(real));
        expect(seen(new LightHeaders(light))).toEqual(seen(real));
      }
    }),
  );
});
