import type { InterfaceEvent, ListRequest, NodeApi } from "../domain/node-api.ts";
import type { AttachmentRecord } from "./journal.ts";
import type { RecordBook } from "./record-book.ts";
import { viewOfDetached } from "./view.ts";

/**
 * The watch of podplug's own reconcilers, which begins where the earlier run
 * ended: before `synced` it tells the end of each detach that was interrupted.
 * Recovery finishes those before anybody listens, and their pods' network-status
 * may still have them.
 */
export function createWatchFromStart(book: RecordBook, watch: NodeApi["watch"]) {
  let interrupted: readonly AttachmentRecord[] = [];

  async function* watchFromStart(request: ListRequest, signal: AbortSignal): AsyncGenerator<InterfaceEvent> {
    for await (const event of watch(request, signal)) {
      if (event.kind === "synced" && !request.target) yield* ends();
      yield event;
    }
  }

  function* ends(): Generator<InterfaceEvent> {
    for (const record of interrupted) {
      if (!book.byId(record.id)) yield { kind: "detached", interface: viewOfDetached(record) };
    }
  }

  return {
    /** What the earlier run left, before any of it is recovered. */
    begin(records: readonly AttachmentRecord[]): void {
      interrupted = records.filter(({ state }) => state === "detaching");
    },
    watchFromStart,
  };
}
