import { describe } from "vitest";
import {
  type DefinitionWorld,
  definitionReaderContract,
  type PodWorld,
  podFeedContract,
  statusWriterContract,
} from "../contracts/kube.ts";
import { createFakeCluster } from "../fakes/fake-cluster.ts";

async function makeWorld(): Promise<PodWorld & DefinitionWorld> {
  const cluster = createFakeCluster();
  return {
    pods: cluster.pods,
    statusWriter: cluster.statusWriter,
    definitions: cluster.definitions,
    setPod(key, facts) {
      const [namespace = "", name = ""] = key.split("/");
      return cluster.setPod({ ...facts, namespace, name }).resourceVersion;
    },
    removePod: (key) => cluster.removePod(key),
    define: (namespace, name, config) => cluster.define({ namespace, name, config }),
    defineKaloom: (namespace, name, spec) => cluster.defineKaloom({ namespace, name, ...spec }),
    async [Symbol.asyncDispose]() {},
  };
}

describe("the fake cluster's pods are followed as a real one's", () => {
  podFeedContract(makeWorld);
});
describe("the fake cluster's pods are written to as a real one's", () => {
  statusWriterContract(makeWorld);
});
describe("the fake cluster's definitions are read as a real one's", () => {
  definitionReaderContract(makeWorld);
});
