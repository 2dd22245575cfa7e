import { describe } from "vitest";
import {
  type DefinitionWorld,
  definitionReaderContract,
  type PodWorld,
  podFeedContract,
  statusWriterContract,
} from "../contracts/kube.ts";
import { createClusterWorld } from "./cluster-world.ts";

async function makeWorld(): Promise<PodWorld & DefinitionWorld> {
  const world = await createClusterWorld();
  const put = (path: string, namespace: string, name: string, spec: object): void => {
    world.server.put(`${path}/${name}`, {
      metadata: { namespace, name, uid: `uid-${name}`, resourceVersion: "" },
      spec,
    });
  };
  return {
    pods: world.startFeed(),
    statusWriter: world.statusWriter,
    definitions: world.definitions,
    setPod: (key, facts) => world.setPod(key, facts).metadata.resourceVersion,
    removePod: (key) => world.removePod(key),
    define: (namespace, name, config) =>
      put(
        `/apis/k8s.cni.cncf.io/v1/namespaces/${namespace}/network-attachment-definitions`,
        namespace,
        name,
        config === "" ? {} : { config },
      ),
    defineKaloom: (namespace, name, spec) =>
      put(`/apis/kaloom.com/v1/namespaces/${namespace}/networks`, namespace, name, spec),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

describe("a cluster's pods are followed over HTTPS", () => {
  podFeedContract(makeWorld);
});
describe("a pod's network-status is written over HTTPS", () => {
  statusWriterContract(makeWorld);
});
describe("network definitions are read over HTTPS", () => {
  definitionReaderContract(makeWorld);
});
