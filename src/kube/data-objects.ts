import { PodplugError } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import type { ApiClient } from "./api-client.ts";
import type { DataObject, DataObjects } from "./contract.ts";
import { resourceVersionOf, stringsOf } from "./metadata.ts";

const kinds = {
  Secret: {
    resource: "secrets",
    encode: (text: string) => Buffer.from(text).toString("base64"),
    decode: (text: string) => Buffer.from(text, "base64").toString("utf8"),
  },
  ConfigMap: { resource: "configmaps", encode: (text: string) => text, decode: (text: string) => text },
} as const;

/** The Secrets or the ConfigMaps of one namespace. */
export function createDataObjects({
  client,
  namespace,
  kind,
}: {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly kind: keyof typeof kinds;
}): DataObjects {
  const { resource, encode, decode } = kinds[kind];
  const collection = `/api/v1/namespaces/${encodeURIComponent(namespace)}/${resource}`;
  const pathOf = (name: string): string => `${collection}/${encodeURIComponent(name)}`;
  const titleOf = (name: string): string => `${kind} ${namespace}/${name}`;

  return {
    async read(name, signal): Promise<DataObject | undefined> {
      const doing = `getting ${titleOf(name)}`;
      const { status, body } = await client.call({ path: pathOf(name), doing, expected: [404] }, signal);
      if (status === 404) return undefined;
      return {
        resourceVersion: resourceVersionOf(body),
        data: mapped(stringsOf(isJsonObject(body) ? body["data"] : undefined), decode),
      };
    },
    async write(name, texts, before, signal) {
      const data = mapped(texts, encode);
      const request = before
        ? ({
            method: "PATCH",
            path: pathOf(name),
            body: {
              type: "application/merge-patch+json",
              content: { metadata: { resourceVersion: before.resourceVersion }, data },
            },
          } as const)
        : ({
            method: "POST",
            path: collection,
            body: {
              type: "application/json",
              content: { apiVersion: "v1", kind, metadata: { name, namespace }, data },
            },
          } as const);
      const doing = `writing ${titleOf(name)}`;
      const { status } = await client.call({ ...request, doing, expected: [409] }, signal);
      if (status === 409) {
        throw new PodplugError("UNREACHABLE", `${titleOf(name)} was written by another one meanwhile`);
      }
    },
  };
}

function mapped(
  texts: Readonly<Record<string, string>>,
  change: (text: string) => string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, change(text)]));
}
