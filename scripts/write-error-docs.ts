/** Writes docs/errors.md from the one table of reasons in src/domain/reasons.ts. */
import { kinds, reasons } from "../src/domain/reasons.ts";
import { writePage } from "./generated-page.ts";

const intro = `# Errors

<!-- Written by scripts/write-error-docs.ts from src/domain/reasons.ts: change it there, then run make docs. -->

Every failure carries one of these words, the same in RPC details
(\`podplug.v1.Failure.reason\`), in the program's error output, in logs and in
metrics. They are stable: new ones may be added, none is renamed.

A *transient* failure may pass without anybody changing its cause, so that
asking again makes sense (\`Failure.retryable\` is true). A *permanent* one
waits for a change of what caused it.

| Reason | Connect code | Exit code | |
|---|---|---|---|
`;

const entries = Object.entries(reasons);

const rows = entries.map(([reason, { kind, transient }]) => {
  const { code, exitCode } = kinds[kind];
  const lasts = transient ? "transient" : "permanent";
  return `| [${reason}](#${reason.toLowerCase()}) | \`${code}\` | ${exitCode} | ${lasts} |\n`;
});

const sections = entries.map(
  ([reason, { cause, cure }]) => `
## ${reason}

**Cause.** ${cause}

**Cure.** ${cure}
`,
);

writePage("docs/errors.md", [intro, ...rows, ...sections].join(""));
