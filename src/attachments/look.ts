import type { InterfaceEvent, ListRequest, PodInterface } from "../domain/node-api.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import { isGone } from "./namespaces.ts";
import { joinInterfaces, viewOfWaiting } from "./view.ts";

type LookedAt = Sandbox & Pick<ListRequest, "counters">;

/** What the engine answers without changing anything: list and watch. */
export function createLook(core: EngineCore) {
  const { interfaces, sandboxes, book, feed } = core;

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
    const views = await Promise.all(
      [...present, ...lost.values()].map((sandbox) => listIfThere({ ...sandbox, counters }, signal)),
    );
    const told = new Set(views.flat().map(({ attachmentId }) => attachmentId));
    const waiting = book.all().filter(({ state, id }) => state === "waiting" && !told.has(id));
    return [...views.flat(), ...waiting.map(viewOfWaiting)];
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
