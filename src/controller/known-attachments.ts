import type { InterfaceEvent, PodInterface } from "../domain/node-api.ts";
import { type PodKey, podKeyOf } from "../domain/pod.ts";
import { attachedName, namesInStatus } from "./attachments.ts";

type OfPods<T> = Map<PodKey, Map<string, T>>;

/** Where an attachment was told to be, under the name that its ADD gave, and what network-status may call it. */
interface Told {
  readonly sandboxId: string;
  readonly ifName: string;
  readonly names: readonly string[];
}

/**
 * Which pods have attachments, as the API's events tell it: most pods of a
 * node have none, and needn't be looked into. And which names in a pod's
 * network-status are ours: also those of what has gone, until the status is
 * known to be without them.
 */
export class KnownAttachments {
  /** By their IDs. */
  #pods: OfPods<Told> = new Map();
  /** Of what has gone, by its sandbox. */
  readonly #left: OfPods<Set<string>> = new Map();
  /** Those that a reconciler is detaching. */
  readonly #leaving = new Set<string>();
  /** Of a stream that hasn't told all of it yet. */
  #snapshot: OfPods<Told> | undefined = new Map();

  /** A new stream: it tells all that there is, and then `synced`. */
  restart(): void {
    this.#snapshot = new Map();
    this.#leaving.clear();
  }

  /** The end of it will be no surprise, whether it is told before or after the answer. */
  expectEnd(attachmentId: string): void {
    this.#leaving.add(attachmentId);
  }

  expectNoEnd(attachmentId: string): void {
    this.#leaving.delete(attachmentId);
  }

  isExpected(event: InterfaceEvent): boolean {
    return event.kind === "detached" && this.#leaving.has(event.interface.attachmentId);
  }

  note(event: InterfaceEvent): void {
    if (event.kind === "synced") {
      this.#takeSnapshot();
      return;
    }
    // One that failed is no attachment, or one that is known already.
    if (event.kind === "failed") return;
    const key = podKeyOfInterface(event.interface);
    if (key === undefined) return;
    const { attachmentId } = event.interface;
    const pods = this.#snapshot ?? this.#pods;
    const ids = pods.get(key) ?? new Map<string, Told>();
    const before = ids.get(attachmentId);
    const told = toldBy(event, before);
    // What it was called before may have been written, too.
    this.#leave(key, before);
    if (event.kind === "detached") {
      ids.delete(attachmentId);
      this.#leaving.delete(attachmentId);
      this.#leave(key, told);
    } else {
      if (!before && event.kind !== "present") this.#forgetReplaced(key, ids, told);
      ids.set(attachmentId, told);
    }
    if (ids.size > 0) pods.set(key, ids);
    else pods.delete(key);
  }

  has(key: PodKey): boolean {
    return this.#pods.has(key);
  }

  keys(): readonly PodKey[] {
    return [...this.#pods.keys()];
  }

  /** By sandbox, what the pod's network-status may call attachments of ours that are there, or were when it was written. */
  namesOf(key: PodKey): ReadonlyMap<string, ReadonlySet<string>> {
    const all = new Map([...(this.#left.get(key) ?? [])].map(([id, names]) => [id, new Set(names)]));
    for (const told of this.#pods.get(key)?.values() ?? []) addNames(all, told);
    return all;
  }

  /** The pod's status has these names: what has gone and isn't among them may be anybody's from now on. */
  statusHas(key: PodKey, sandboxId: string, names: readonly string[]): void {
    const left = this.#left.get(key)?.get(sandboxId);
    const still = names.filter((name) => left?.has(name));
    if (still.length > 0) this.#left.set(key, new Map([[sandboxId, new Set(still)]]));
    else this.#left.delete(key);
  }

  /** The pod's status has none of ours, or the pod is gone. */
  forgetLeft(key: PodKey): void {
    this.#left.delete(key);
  }

  /** One whose name another has now was replaced by it, which no event of its own tells. */
  #forgetReplaced(key: PodKey, ids: Map<string, Told>, by: Told): void {
    for (const [id, told] of ids) {
      if (told.sandboxId !== by.sandboxId || told.ifName !== by.ifName) continue;
      ids.delete(id);
      this.#leave(key, told);
    }
  }

  /** What went while no stream told of it went all the same. */
  #takeSnapshot(): void {
    if (!this.#snapshot) return;
    for (const [key, ids] of this.#pods) {
      for (const [id, told] of ids) if (!this.#snapshot.get(key)?.has(id)) this.#leave(key, told);
    }
    this.#pods = this.#snapshot;
    this.#snapshot = undefined;
  }

  #leave(key: PodKey, told: Told | undefined): void {
    if (!told || told.names.length === 0) return;
    const left = this.#left.get(key) ?? new Map<string, Set<string>>();
    addNames(left, told);
    this.#left.set(key, left);
  }
}

function toldBy(
  { kind, interface: view }: Exclude<InterfaceEvent, { kind: "synced" | "failed" }>,
  before: Told | undefined,
): Told {
  // Its link has that name when it is attached, and may have been renamed since.
  const ifName = before?.ifName ?? (kind === "present" ? attachedName(view) : view.name);
  return { sandboxId: view.sandboxId, ifName, names: namesInStatus(view) };
}

function addNames(sandboxes: Map<string, Set<string>>, { sandboxId, names }: Told): void {
  const all = sandboxes.get(sandboxId) ?? new Set();
  for (const name of names) all.add(name);
  sandboxes.set(sandboxId, all);
}

/** None for a bare namespace's. */
export function podKeyOfInterface({ pod }: PodInterface): PodKey | undefined {
  return pod && podKeyOf(pod);
}
