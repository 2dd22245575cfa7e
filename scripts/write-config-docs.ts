/** Writes docs/configuration.md from the schema of src/config.ts. */
import { z } from "zod";
import { configSchema } from "../src/config.ts";
import { writePage } from "./generated-page.ts";

type Schema = z.core.JSONSchema.JSONSchema;

const intro = `# Configuration

<!-- Written by scripts/write-config-docs.ts from src/config.ts: change it there, then run make docs. -->

\`podplug agent --config FILE\` reads one file, YAML or JSON. Every key has a
default, so that a file names only what differs; an unknown key is an error.
All faults are reported together, each with the path of its key, as
[INVALID_CONFIGURATION](errors.md#invalid_configuration) with exit code 2.

The schema holds what later versions will bring, so that files stay valid. A
value that this version can't serve (Kubernetes as the source of networks or as
the runtime, TLS, …) is refused at start, with what to set instead. Without
effect in this version are \`ops\`, \`healing\`, \`cni.confDir\`,
\`namespaceIsolation\`, \`globalNamespaces\`, the socket paths of runtimes and of
Multus, and what else stands under \`controller\` and \`api.auth\`. A whole file
that it serves:

\`\`\`yaml
runtime: netns
networks:
  - directory: /etc/podplug/networks.d
controller:
  enabled: false
\`\`\`

[networks.md](networks.md) tells how to fill such a directory.

All keys with their defaults:

`;

/** What a value may be, where the default doesn't show it. */
function rangeOf(schema: Schema): string {
  const { minimum, exclusiveMinimum, maximum, items } = schema;
  if (schema.enum !== undefined) return `one of ${schema.enum.join(", ")}`;
  if (typeof items === "object" && !Array.isArray(items)) return rangeOf(items);
  // The whole numbers' own limits say nothing.
  const top = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && top !== undefined) return `${minimum} to ${top}`;
  if (exclusiveMinimum !== undefined && top !== undefined)
    return `more than ${exclusiveMinimum}, up to ${top}`;
  if (minimum !== undefined && minimum > 0) return `${minimum} or more`;
  if (exclusiveMinimum !== undefined) return `more than ${exclusiveMinimum}`;
  return "";
}

/** As YAML writes a flow value. */
function flow(value: unknown): string {
  return JSON.stringify(value).replaceAll(",", ", ");
}

function linesOf(key: string, schema: Schema, indent: string): readonly string[] {
  const { description, properties } = schema;
  const range = rangeOf(schema);
  const facts = [description ?? "", range === "" ? "" : `(${range})`].filter((fact) => fact !== "").join(" ");
  const comment = facts === "" ? [] : [`${indent}# ${facts}`];
  if (properties === undefined) return [...comment, `${indent}${key}: ${flow(schema.default)}`];
  const members = Object.entries(properties).flatMap(([name, member]) =>
    typeof member === "boolean" ? [] : linesOf(name, member, `${indent}  `),
  );
  return [...comment, `${indent}${key}:`, ...members];
}

const { properties = {} } = z.toJSONSchema(configSchema, { io: "input" });
const lines = Object.entries(properties).flatMap(([name, member]) =>
  typeof member === "boolean" ? [] : linesOf(name, member, ""),
);

writePage("docs/configuration.md", `${intro}\`\`\`yaml\n${lines.join("\n")}\n\`\`\`\n`);
