import { PodplugError } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import type { ApiClient } from "./api-client.ts";
import type { Secret, Secrets } from "./contract.ts";
import { resourceVersionOf, stringsOf } from "./metadata.ts";

export function createSecrets({
  client,
  namespace,
}: {
  readonly client: ApiClient;
  readonly namespace: string;
}): Secrets {
  const collection = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
  const pathOf = (name: string): string => `${collection}/${encodeURIComponent(name)}`;
  const titleOf = (name: string): string => `Secret ${namespace}/${name}`;
  const type = "application/merge-patch+json";

  return {
    async read(name, signal): Promise<Secret | undefined> {
      const doing = `getting ${titleOf(name)}`;
      const { status, body } = await client.call({ path: pathOf(name), doing, expected: [404] }, signal);
      if (status === 404) return undefined;
      const encoded = Object.entries(stringsOf(isJsonObject(body) ? body["data"] : undefined));
      return {
        resourceVersion: resourceVersionOf(body),
        data: Object.fromEntries(
          encoded.map(([key, text]) => [key, Buffer.from(text, "base64").toString("utf8")]),
        ),
      };
    },
    async write(name, data, before, signal) {
      const encoded = Object.fromEntries(
        Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString("base64")]),
      );
      const { status } = before
        ? await client.call(
            {
              method: "PATCH",
              path: pathOf(name),
              body: {
                type,
                content: { metadata: { resourceVersion: before.resourceVersion }, data: encoded },
              },
              doing: `writing ${titleOf(name)}`,
              expected: [409],
            },
            signal,
          )
        : await client.call(
            {
              method: "POST",
              path: collection,
              body: {
                type: "application/json",
                content: { apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, data: encoded },
              },
              doing: `making ${titleOf(name)}`,
              expected: [409],
            },
            signal,
          );
      if (status === 409) {
        throw new PodplugError("UNREACHABLE", `${titleOf(name)} was written by another one meanwhile`);
      }
    },
  };
}
