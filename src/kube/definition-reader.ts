import { PodplugError } from "../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import { isObjectName } from "../domain/names.ts";
import type { ApiClient } from "./api-client.ts";
import type { DefinitionReader, NetAttachDef } from "./contract.ts";
import { metadataOf, resourceVersionOf, stringsOf } from "./metadata.ts";

interface Kind {
  readonly title: string;
  readonly collection: (namespace: string) => string;
}

const netAttachDefKind: Kind = {
  title: "NetworkAttachmentDefinition",
  collection: (namespace) =>
    `/apis/k8s.cni.cncf.io/v1/namespaces/${namespace}/network-attachment-definitions`,
};
const kaloomKind: Kind = {
  title: "Network",
  collection: (namespace) => `/apis/kaloom.com/v1/namespaces/${namespace}/networks`,
};

type ObjectFacts = Omit<NetAttachDef, "config">;

export function createDefinitionReader({ client }: { readonly client: ApiClient }): DefinitionReader {
  async function read(
    kind: Kind,
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Promise<{ readonly facts: ObjectFacts; readonly spec: JsonObject; readonly title: string } | undefined> {
    // CNI allows names that no object can have; asked for, they would only be refused.
    if (!isObjectName(namespace) || !isObjectName(name)) return undefined;
    const title = `${kind.title} ${namespace}/${name}`;
    const { status, body } = await client.call(
      { path: `${kind.collection(namespace)}/${name}`, doing: `getting ${title}`, expected: [404] },
      signal,
    );
    if (status === 404) return undefined;
    const { uid, annotations } = metadataOf(body);
    const spec = isJsonObject(body) ? body["spec"] : undefined;
    const facts = {
      namespace,
      name,
      uid: typeof uid === "string" ? uid : "",
      resourceVersion: resourceVersionOf(body),
      annotations: stringsOf(annotations),
    };
    return { facts, spec: isJsonObject(spec) ? spec : {}, title };
  }

  return {
    async netAttachDef(namespace, name, signal) {
      const found = await read(netAttachDefKind, namespace, name, signal);
      return found && { ...found.facts, config: textIn(found, "config") };
    },
    async kaloomNetwork(namespace, name, signal) {
      const found = await read(kaloomKind, namespace, name, signal);
      return found && { ...found.facts, plugin: textIn(found, "plugin"), config: textIn(found, "config") };
    },
  };
}

function textIn({ spec, title }: { readonly spec: JsonObject; readonly title: string }, key: string): string {
  const value = spec[key] ?? "";
  if (typeof value === "string") return value;
  throw new PodplugError("INVALID_NETWORK", `${title} can't be used: spec.${key} isn't a string`);
}
