import { asPodplugError, type PodplugError } from "../domain/errors.ts";
import type { InterfaceEvent, ListRequest, PodInterface } from "../domain/node-api.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import { isGone } from "./namespaces.ts";
import { joinInterfaces, viewOfWaiting } from "./view.ts";

type LookedAt = Sandbox & Pick<ListRequest, "counters">;

/** What the engine answers without changing anything: list and watch. */
export function createLook(core: EngineCore) {
  const { interfaces, sandboxes, book, feed, log } = core;
  /** The sandboxes that the last list of all was without, and that were told of. */
  let leftOut: ReadonlySet<string> = new Set();

  async function list(
    { target, counters }: ListRequest,
    signal: AbortSignal,
  ): Promise<readonly PodInterface[]> {
    if (target) return await listOne({ ...(await sandboxes.locate(target, signal)), counters }, signal);
    const present = await sandboxes.list(signal);
    const known = new Set(present.map((sandbox) => sandbox.id));
    const lost = new Map(
      book
        .all()
        .filter(({ sandbox, state }) => state !== "waiting" && !known.has(sandbox.id))
        .map(({ sandbox }) => [sandbox.id, sandbox]),
    );
    const views = await listEach([...present, ...lost.values()], counters, signal);
    const told = new Set(views.map(({ attachmentId }) => attachmentId));
    const waiting = book.all().filter(({ state, id }) => state === "waiting" && !told.has(id));
    return [...views, ...waiting.map(viewOfWaiting)];
  }

  /** One namespace that can't be read must not hide the others. */
  async function listEach(
    all: readonly Sandbox[],
    counters: boolean | undefined,
    signal: AbortSignal,
  ): Promise<readonly PodInterface[]> {
    const failures = new Map<Sandbox, PodplugError>();
    const views = await Promise.all(
      all.map(async (sandbox) => {
        try {
          return await listIfThere({ ...sandbox, counters }, signal);
        } catch (thrown) {
          if (signal.aborted) throw thrown;
          failures.set(sandbox, asPodplugError(thrown));
          return [];
        }
      }),
    );
    for (const error of failures.values()) {
      // All of them, or for want of descriptors: that is no single one's trouble.
      if (failures.size === all.length || error.reason === "RESOURCE_EXHAUSTED") throw error;
    }
    for (const [{ id, netnsPath, pod }, error] of failures) {
      if (leftOut.has(id)) continue;
      const facts = { sandbox: id, netns: netnsPath, ...(pod && { pod: `${pod.namespace}/${pod.name}` }) };
      log.warn({ ...facts, err: error }, "a namespace can't be read; it is left out until it can be");
    }
    leftOut = new Set(failures.keys().map(({ id }) => id));
    return views.flat();
  }

  async function listOne(sandbox: LookedAt, signal: AbortSignal): Promise<readonly PodInterface[]> {
    for (;;) {
      const before = book.ofSandbox(sandbox.id);
      const links = await interfaces.list(sandbox, signal);
      const records = book.ofSandbox(sandbox.id);
      // Overtaken by a change, an attachment would look like the pod's own interface, or like a broken one.
      if (isSame(before, records)) {
        return [...joinInterfaces(sandbox, links, records), ...book.waitingFor(sandbox).map(viewOfWaiting)];
      }
    }
  }

  /** A namespace that is gone leaves its records to be told of. */
  async function listIfThere(sandbox: LookedAt, signal: AbortSignal): Promise<readonly PodInterface[]> {
    try {
      return await listOne(sandbox, signal);
    } catch (error) {
      if (isGone(error)) return joinInterfaces(sandbox, [], book.ofSandbox(sandbox.id));
      throw error;
    }
  }

  async function* watch({ target }: ListRequest, signal: AbortSignal): AsyncGenerator<InterfaceEvent> {
    core.refuseWhenStopping();
    const sandboxId = target && (await sandboxes.locate(target, signal)).id;
    const left = new AbortController();
    // Subscribed before the snapshot, so that nothing falls between the two.
    const changes = feed.subscribe(AbortSignal.any([signal, left.signal]));
    try {
      for (const view of await list({ target }, signal)) {
        if (view.attachmentId !== "") yield { kind: "present", interface: view };
      }
      yield { kind: "synced" };
      for await (const event of changes) {
        if (event.kind === "synced" || sandboxId === undefined || event.interface.sandboxId === sandboxId)
          yield event;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      left.abort();
    }
  }

  return { list, watch };
}

/** Records are never changed, only replaced. */
function isSame(before: readonly AttachmentRecord[], after: readonly AttachmentRecord[]): boolean {
  return before.length === after.length && before.every((record, index) => record === after[index]);
}
