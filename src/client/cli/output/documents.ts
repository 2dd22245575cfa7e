import type { JsonValue } from "../../../domain/json.ts";
import { visibleJson } from "./visible.ts";

export const outputFormats = ["table", "wide", "json", "yaml"] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** The formats that programs read: the API's JSON form, whole. */
export type DocumentFormat = Extract<OutputFormat, "json" | "yaml">;

export function isDocumentFormat(format: OutputFormat): format is DocumentFormat {
  return format === "json" || format === "yaml";
}

export async function formatDocument(value: JsonValue, format: DocumentFormat): Promise<string> {
  return format === "json" ? `${visibleJson(JSON.stringify(value, null, 2))}\n` : yamlOf(value);
}

/** One of a stream: a line of JSON, or a YAML document with its separator. */
export async function formatStreamed(value: JsonValue, format: DocumentFormat): Promise<string> {
  return format === "json" ? `${visibleJson(JSON.stringify(value))}\n` : `---\n${await yamlOf(value)}`;
}

async function yamlOf(value: JsonValue): Promise<string> {
  const { Document, visit } = await import("yaml");
  // Older parsers take a MAC address such as 10:20:30:40:50:10 for a number in base 60.
  const document = new Document(value, { aliasDuplicateObjects: false, compat: "yaml-1.1" });
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value === "string" && visibleJson(node.value) !== node.value)
        node.type = "QUOTE_DOUBLE";
    },
  });
  // Unfolded, because a fold inside a quoted string would be one more thing to get wrong.
  return visibleJson(document.toString({ lineWidth: 0 }));
}
