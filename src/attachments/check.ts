import { type CniInterface, toNewestResult } from "../cni/results.ts";
import { type Failure, failureOf, PodplugError } from "../domain/errors.ts";
import { canonicalJson, type JsonObject } from "../domain/json.ts";
import type { CheckRequest } from "../domain/node-api.ts";
import { describeTarget } from "../domain/target.ts";
import type { KernelInterface } from "../interfaces/contract.ts";
import { cniOf, factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import { driftOf } from "./drift.ts";
import type { AttachmentRecord } from "./journal.ts";
import { viewOf } from "./view.ts";

/** Where plugins make the node's ends of attachments. */
const ownNetns = "/proc/self/ns/net";

/** The engine's CheckAttachment, for callers and for podplug's own rounds. */
export function createCheck(core: EngineCore) {
  const { executor, interfaces, sandboxes, namespaces, book, lanes, gate, feed, log } = core;

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
    const ask = (answered: JsonObject): Promise<void> =>
      gate.shared(() => executor.check(attachment, answered, AbortSignal.timeout(core.timeoutMs)));
    try {
      await ask(result).catch(async (error: unknown) => {
        const present = isCheckFailure(error) ? await asTheNodeIsNow(result, signal) : undefined;
        if (!present) throw error;
        await ask(present);
      });
    } catch (error) {
      // Any other failure says that the plugins can't be asked, nothing of the attachment.
      if (isCheckFailure(error)) remember(record, link, failureOf(error));
      throw error;
    }
    remember(record, link, undefined);
  }

  /**
   * What ADD answered, with the node's own links as they are by now; undefined
   * when nothing differs. A bridge has the lowest MAC of its ports: as others
   * come and go it isn't what the bridge plugin answered, and what that plugin's
   * CHECK still compares (containernetworking/plugins 1.9).
   */
  async function asTheNodeIsNow(result: JsonObject, signal: AbortSignal): Promise<JsonObject | undefined> {
    const { interfaces: answered = [] } = toNewestResult(result);
    const isOnNode = ({ sandbox, mac }: CniInterface): boolean => !sandbox && mac !== undefined;
    if (!answered.some(isOnNode)) return undefined;
    const links = await interfaces.list({ netnsPath: ownNetns }, signal);
    const macs = new Map(links.map(({ name, mac }) => [name, mac]));
    const present = answered.map((each) => {
      const mac = isOnNode(each) ? macs.get(each.name ?? "") : undefined;
      return mac === undefined ? each : { ...each, mac };
    });
    return canonicalJson(present) === canonicalJson(answered)
      ? undefined
      : { ...result, interfaces: present };
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

function isCheckFailure(error: unknown): error is PodplugError {
  return error instanceof PodplugError && error.reason === "CHECK_FAILED";
}
