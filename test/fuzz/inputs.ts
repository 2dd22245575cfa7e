import fc from "fast-check";

/** What syntaxes trip over, and what a careless program takes for something else. */
const tokens = [
  ...Array.from('{}[]":,-'),
  "null",
  "true",
  "1e999",
  "-0",
  "9007199254740993",
  '"__proto__":{},',
  '"constructor":1,',
  "\\ud800",
  "\\u0000",
  "\0",
  "\n",
  "../",
  "%d",
  "$(id)",
  "*a",
  "&a ",
  "!!binary ",
  "é",
  "\u{1f4a9}",
  " ".repeat(300),
];

interface Edit {
  readonly at: number;
  readonly drop: number;
  readonly insert: string;
  /** How often what was inserted or dropped stands there: nesting and size come from it. */
  readonly times: number;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(1_000_000),
  drop: fc.oneof(fc.constant(0), fc.nat(8), fc.nat(200)),
  insert: fc.oneof(fc.constantFrom("", ...tokens), fc.string({ unit: "binary", maxLength: 6 })),
  times: fc.oneof({ weight: 20, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.nat(3000) }),
});

function edited(text: string, edits: readonly Edit[]): string {
  let result = text;
  for (const { at, drop, insert, times } of edits) {
    const from = at % (result.length + 1);
    const piece = insert === "" ? result.slice(from, from + Math.min(drop, 20)) : insert;
    result = `${result.slice(0, from)}${piece.repeat(times)}${result.slice(from + drop)}`;
  }
  return result;
}

/** Half of them valid ones with a few edits, half made up. */
export function texts(samples: readonly string[]): fc.Arbitrary<string> {
  const mutated = fc
    .tuple(fc.constantFrom(...samples), fc.array(edit, { minLength: 1, maxLength: 4 }))
    .map(([sample, edits]) => edited(sample, edits));
  const words = [...new Set(samples.flatMap((sample) => sample.match(/[\w./:-]+/g) ?? []))];
  const madeUp = fc.oneof(
    fc.array(fc.constantFrom(...tokens, ...words), { maxLength: 30 }).map((parts) => parts.join("")),
    fc.json({ maxDepth: 4 }),
    fc.string({ unit: "binary", maxLength: 60 }),
  );
  return fc.oneof(mutated, madeUp);
}

/** As `texts`, byte by byte. */
export function byteStrings(samples: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
  const mutated = fc
    .tuple(fc.constantFrom(...samples), fc.array(edit, { minLength: 1, maxLength: 4 }))
    .map(([sample, edits]) => Buffer.from(edited(latin1(sample), edits), "latin1"));
  return fc.oneof(mutated, fc.uint8Array({ maxLength: 200 }));
}
