import { z } from "zod";
import { messageOf } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";

// Writers in Go print what is absent as null, or as the empty word.
const word = z
  .string()
  .nullish()
  .transform((text) => text?.trim() || undefined);
const number = z
  .union([z.string(), z.number()], "must be a number")
  .nullish()
  .transform((given) =>
    given === null || given === undefined || given === "" ? undefined : `${given}`.trim(),
  );
const list = <T extends z.ZodType>(element: T) =>
  z
    .array(element)
    .nullish()
    .transform((elements) => elements ?? []);

const endpoint = z.object({ Container: word, Host: word, AttachUUID: word, IPAddress: word });
const network = z.object({
  Name: word,
  PktTagType: word,
  PktTag: number,
  SubnetCIDR: word,
  DefaultGw: word,
  Endpoints: list(endpoint),
});
const tenant = z.object({
  Name: word,
  DefaultNetType: word,
  SubnetPool: word,
  AllocSubnetLen: number,
  VLANs: word,
  VXLANs: word,
  Networks: list(network),
});
const host = z.object({ Name: word, Intf: word, VtepIP: word });
const schema = z.object({ Hosts: list(host), Tenants: list(tenant), HostBindings: list(endpoint) });

/** Contiv's intent as it is written: shapes and spelling of keys checked, nothing else. */
export type IntentText = z.output<typeof schema>;
export type TenantText = IntentText["Tenants"][number];
export type NetworkText = TenantText["Networks"][number];

export type ReadText =
  | { readonly kind: "read"; readonly text: IntentText }
  | { readonly kind: "unreadable"; readonly faults: readonly string[] };

const keys = [schema, host, tenant, network, endpoint].flatMap(({ shape }) => Object.keys(shape));
const spelling = new Map(keys.map((key) => [key.toLowerCase(), key]));

/** Keys in any case, as Go matches them; keys that nobody knows are left alone, as Go leaves them. */
export function readIntentText(text: string): ReadText {
  const faults: string[] = [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: "unreadable", faults: [`it isn't JSON: ${messageOf(error)}`] };
  }
  if (!isJsonObject(value)) return { kind: "unreadable", faults: ["it isn't a JSON object"] };
  const spelled = spell(value, [], faults);
  const parsed = schema.safeParse(spelled);
  if (!parsed.success) {
    faults.push(
      ...parsed.error.issues.map(({ path, message }) => `${printPath(path)}: ${message.toLowerCase()}`),
    );
  }
  return parsed.success && faults.length === 0
    ? { kind: "read", text: parsed.data }
    : { kind: "unreadable", faults };
}

function spell(value: unknown, path: readonly PropertyKey[], faults: string[]): unknown {
  if (Array.isArray(value)) return value.map((each, index) => spell(each, [...path, index], faults));
  if (!isJsonObject(value)) return value;
  const spelled = new Map<string, unknown>();
  for (const [written, member] of Object.entries(value)) {
    const key = spelling.get(written.toLowerCase());
    if (key === undefined) continue;
    if (spelled.has(key)) faults.push(`${printPath([...path, key])}: is there twice`);
    spelled.set(key, spell(member, [...path, key], faults));
  }
  return Object.fromEntries(spelled);
}

/** `Tenants[0].Networks[1].Name` */
function printPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .slice(1);
}
