import type { PodplugError } from "../../src/domain/errors.ts";
import { type Pod, podKeyOf } from "../../src/domain/pod.ts";
import { abortError } from "../../src/domain/signals.ts";
import {
  type DefinitionReader,
  type EventRecorder,
  type KaloomNetwork,
  type NetAttachDef,
  networkStatusAnnotation,
  type PodEventFacts,
  type PodFeed,
  type PodStatusWriter,
} from "../../src/kube/contract.ts";
import { createPodStore } from "../../src/kube/pod-store.ts";

/** What a test says of a pod; the rest is made up. */
export type PodFacts = Pick<Pod, "name"> & Partial<Pod>;

/** An API server in memory, as the contracts of src/kube show it. */
export interface FakeCluster {
  readonly pods: PodFeed;
  readonly statusWriter: PodStatusWriter;
  readonly events: EventRecorder;
  readonly definitions: DefinitionReader;
  /** What `events` recorded, oldest first. */
  readonly recorded: readonly (PodEventFacts & { readonly pod: string })[];
  /** Adds a pod or replaces it, with a new resourceVersion. Keeps the UID of one that is there. */
  setPod(facts: PodFacts): Pod;
  /** As somebody else's patch: `undefined` takes an annotation away. */
  annotate(key: string, annotations: Readonly<Record<string, string | undefined>>): Pod;
  /** The pod as the API server has it, which the feed may not know yet. */
  podAt(key: string): Pod | undefined;
  removePod(key: string): void;
  /** While held back, the feed shows what it knew; then it catches up. */
  holdFeed(held: boolean): void;
  /** Of a feed that is created unsynced: the first list arrives. */
  sync(): void;
  define(definition: Partial<NetAttachDef> & Pick<NetAttachDef, "name" | "config">): void;
  defineKaloom(network: Partial<KaloomNetwork> & Pick<KaloomNetwork, "name" | "plugin" | "config">): void;
  undefine(namespace: string, name: string): void;
  /** How many definitions were asked for. */
  readonly reads: number;
  /** Every write and read fails with it, until cleared with `undefined`. */
  failWith(error: PodplugError | undefined): void;
}

export function createFakeCluster({ synced = true } = {}): FakeCluster {
  const store = createPodStore();
  const truth = new Map<string, Pod>();
  const netAttachDefs = new Map<string, NetAttachDef>();
  const kaloomNetworks = new Map<string, KaloomNetwork>();
  const recorded: (PodEventFacts & { readonly pod: string })[] = [];
  let version = 1;
  let held = !synced;
  let reads = 0;
  let failure: PodplugError | undefined;
  if (synced) store.replaceAll([]);

  function show(): void {
    if (!held) store.replaceAll([...truth.values()]);
  }
  function setPod(facts: PodFacts): Pod {
    version += 1;
    const namespace = facts.namespace ?? "default";
    const uid = facts.uid ?? truth.get(podKeyOf({ namespace, name: facts.name }))?.uid ?? `uid-${version}`;
    const pod: Pod = {
      runtimeUid: uid,
      labels: {},
      annotations: {},
      ...facts,
      namespace,
      uid,
      resourceVersion: `${version}`,
    };
    truth.set(podKeyOf(pod), pod);
    show();
    return pod;
  }
  function annotate(key: string, annotations: Readonly<Record<string, string | undefined>>): Pod {
    const pod = truth.get(key);
    if (!pod) throw new Error(`no pod ${key}`);
    const merged = Object.entries({ ...pod.annotations, ...annotations });
    const kept = merged.filter((entry): entry is [string, string] => entry[1] !== undefined);
    return setPod({ ...pod, annotations: Object.fromEntries(kept) });
  }
  function answer(signal: AbortSignal): void {
    if (signal.aborted) throw abortError(signal, "asking the API server");
    if (failure) throw failure;
  }
  const common = { namespace: "default", resourceVersion: "1", annotations: {} };
  const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

  return {
    pods: store,
    statusWriter: {
      async write({ pod, before, text }, signal) {
        answer(signal);
        const key = podKeyOf(pod);
        const present = truth.get(key);
        if (!present || present.uid !== pod.uid) return { kind: "gone" };
        const status = present.annotations[networkStatusAnnotation];
        if (status === text) return { kind: "written", pod: present };
        if (status !== before) return { kind: "conflict", pod: present };
        return { kind: "written", pod: annotate(key, { [networkStatusAnnotation]: text }) };
      },
    },
    events: {
      record(pod, facts) {
        recorded.push({ pod: podKeyOf(pod), ...facts });
      },
    },
    definitions: {
      async netAttachDef(namespace, name, signal) {
        reads += 1;
        answer(signal);
        return netAttachDefs.get(keyOf(namespace, name));
      },
      async kaloomNetwork(namespace, name, signal) {
        reads += 1;
        answer(signal);
        return kaloomNetworks.get(keyOf(namespace, name));
      },
    },
    recorded,
    setPod,
    annotate,
    podAt: (key) => truth.get(key),
    removePod(key) {
      truth.delete(key);
      show();
    },
    holdFeed(hold) {
      held = hold;
      show();
    },
    sync() {
      held = false;
      show();
    },
    define(definition) {
      const whole = { uid: `uid-${definition.name}`, ...common, ...definition };
      netAttachDefs.set(keyOf(whole.namespace, whole.name), whole);
    },
    defineKaloom(network) {
      const whole = { uid: `uid-${network.name}`, ...common, ...network };
      kaloomNetworks.set(keyOf(whole.namespace, whole.name), whole);
    },
    undefine(namespace, name) {
      netAttachDefs.delete(keyOf(namespace, name));
      kaloomNetworks.delete(keyOf(namespace, name));
    },
    get reads() {
      return reads;
    },
    failWith(error) {
      failure = error;
    },
  };
}
