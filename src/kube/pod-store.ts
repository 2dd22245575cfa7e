import { type Pod, type PodKey, podKeyOf } from "../domain/pod.ts";
import type { PodEvent, PodFeed } from "./contract.ts";

/** More than a node's pods come and go while the sandbox of one of them ends. */
const mostLeft = 1_000;

/** The pods as they were last told, and everybody who reads along. */
export interface PodStore extends PodFeed {
  /** All there are now: those that aren't among them are gone. */
  replaceAll(pods: readonly Pod[]): void;
  put(pod: Pod): void;
  remove(key: PodKey): void;
  /** Every reader's iteration ends. */
  close(): void;
}

/** `isNews` is asked of a pod's next version: one that is none isn't told. */
export function createPodStore(isNews: (before: Pod, pod: Pod) => boolean = () => true): PodStore {
  const pods = new Map<PodKey, Pod>();
  /** The UIDs of those that have left, in their order. */
  const left = new Set<string>();
  const readers = new Set<Reader>();
  let synced = false;
  let closed = false;

  function tell(key: PodKey): void {
    for (const reader of readers) reader.push(key);
  }

  function leave({ uid }: Pod): void {
    left.add(uid);
    const [oldest] = left;
    if (left.size > mostLeft && oldest !== undefined) left.delete(oldest);
  }

  function put(pod: Pod): void {
    const key = podKeyOf(pod);
    const before = pods.get(key);
    pods.set(key, pod);
    left.delete(pod.uid);
    if (before && before.uid !== pod.uid) leave(before);
    if (before?.uid === pod.uid) {
      if (before.resourceVersion === pod.resourceVersion || !isNews(before, pod)) return;
    }
    tell(key);
  }

  function remove(key: PodKey): void {
    const pod = pods.get(key);
    if (!pod) return;
    pods.delete(key);
    leave(pod);
    tell(key);
  }

  return {
    get: (key) => pods.get(key),
    keys: () => [...pods.keys()],
    hasLeft: (uid) => left.has(uid),
    isSynced: () => synced,
    async *watch(signal) {
      const reader = new Reader(pods.keys(), synced);
      readers.add(reader);
      const end = (): void => reader.end();
      signal.addEventListener("abort", end, { once: true });
      if (signal.aborted || closed) reader.end();
      try {
        yield* reader.events();
      } finally {
        signal.removeEventListener("abort", end);
        readers.delete(reader);
      }
    },
    replaceAll(present) {
      const missing = new Set(pods.keys()).difference(new Set(present.map(podKeyOf)));
      for (const pod of present) put(pod);
      for (const key of missing) remove(key);
      synced = true;
      for (const reader of readers) reader.sync();
    },
    put,
    remove,
    close() {
      closed = true;
      for (const reader of readers) reader.end();
    },
  };
}

/** What one reader hasn't taken yet: each key at most once, however often it changed. */
class Reader {
  readonly #pending: Set<PodKey>;
  /** The keys that are to be told before `synced`; absent while the first list is awaited. */
  #beforeSynced: Set<PodKey> | undefined;
  #toldSynced = false;
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(present: Iterable<PodKey>, synced: boolean) {
    this.#pending = new Set(present);
    if (synced) this.#beforeSynced = new Set(this.#pending);
  }

  push(key: PodKey): void {
    this.#pending.add(key);
    this.#wake();
  }

  sync(): void {
    if (!this.#toldSynced) this.#beforeSynced ??= new Set(this.#pending);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *events(): AsyncGenerator<PodEvent> {
    while (!this.#ended) {
      const event = this.#take();
      if (event) {
        yield event;
      } else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    }
  }

  #take(): PodEvent | undefined {
    if (!this.#toldSynced && this.#beforeSynced?.size === 0) {
      this.#toldSynced = true;
      this.#beforeSynced = undefined;
      return { kind: "synced" };
    }
    const [key] = this.#pending;
    if (key === undefined) return undefined;
    this.#pending.delete(key);
    this.#beforeSynced?.delete(key);
    return { kind: "changed", key };
  }
}
