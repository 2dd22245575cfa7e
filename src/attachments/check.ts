import { type Failure, failureOf, PodplugError } from "../domain/errors.ts";
import type { CheckRequest } from "../domain/node-api.ts";
import { describeTarget } from "../domain/target.ts";
import type { KernelInterface } from "../interfaces/contract.ts";
import { cniOf, factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import { driftOf } from "./drift.ts";
import type { AttachmentRecord } from "./journal.ts";
import { viewOf } from "./view.ts";

/** The engine's CheckAttachment, for callers and for podplug's own rounds. */
export function createCheck(core: EngineCore) {
  const { executor, sandboxes, namespaces, book, lanes, gate, feed, log } = core;

  async function check(request: CheckRequest, signal: AbortSignal): Promise<void> {
    const { id } = await sandboxes.locate(request.target, signal);
    await lanes.run(
      id,
      async () => {
        core.refuseWhenStopping();
        const record = book.get(id, request.interface);
        if (record) return await checkRecord(record, signal);
        const where = describeTarget(request.target);
        throw new PodplugError("ATTACHMENT_NOT_FOUND", `${where} has no attachment ${request.interface}`);
      },
      signal,
    );
  }

  /** Remembers what the plugins say, for lists, until they say otherwise. The sandbox's lane must be held. */
  async function checkRecord(record: AttachmentRecord, signal: AbortSignal): Promise<void> {
    const { result, ifIndex } = record.chain;
    if (record.state !== "attached") {
      throw new PodplugError("CLEANUP_PENDING", `${record.ifName} is ${record.state}`);
    }
    const there = await namespaces.find(record.sandbox, signal);
    if (!there) throw new PodplugError("SANDBOX_NOT_READY", `the namespace of ${record.ifName} is gone`);
    const link = there.links.find(({ index }) => index === ifIndex);
    const drift = driftOf(link, record);
    if (drift) throw new PodplugError("CHECK_FAILED", drift.message);
    // CHECK needs what ADD answered; of what kactus plugged nobody kept it.
    if (!result) return;
    const attachment = { ...cniOf(record), netnsPath: there.netnsPath };
    try {
      await gate.shared(() => executor.check(attachment, result, AbortSignal.timeout(core.timeoutMs)));
    } catch (error) {
      // Any other failure says that the plugins can't be asked, nothing of the attachment.
      if (error instanceof PodplugError && error.reason === "CHECK_FAILED") {
        remember(record, link, failureOf(error));
      }
      throw error;
    }
    remember(record, link, undefined);
  }

  function remember(
    record: AttachmentRecord,
    link: KernelInterface | undefined,
    failure: Failure | undefined,
  ): void {
    if (record.failure?.message === failure?.message) return;
    const noted: AttachmentRecord = { ...record, failure };
    // Not written: the next agent finds out for itself.
    book.note(noted);
    feed.publish({ kind: "changed", interface: viewOf(record.sandbox, link, noted) });
    if (failure)
      log.warn({ ...factsOf(record), reason: failure.reason, failure: failure.message }, "CHECK failed");
    else log.info(factsOf(record), "CHECK succeeds again");
  }

  return { check, checkRecord };
}
