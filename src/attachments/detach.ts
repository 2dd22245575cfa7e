import type { Caller } from "../domain/attachment.ts";
import { PodplugError } from "../domain/errors.ts";
import { canonicalJson } from "../domain/json.ts";
import type { AttachmentChoice, DetachAnswer, DetachRequest } from "../domain/node-api.ts";
import type { Target } from "../domain/target.ts";
import { describeTarget } from "../domain/target.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import { chooseAttachment } from "./choose.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import { isGone } from "./namespaces.ts";
import { mayRemove } from "./ownership.ts";
import { viewOfDetached } from "./view.ts";

/** The engine's DetachNetwork: DEL from the record alone, whatever became of the target and the definition. */
export function createDetach(core: EngineCore) {
  const { interfaces, sandboxes, namespaces, book, lanes, feed, applier, log } = core;

  return async (caller: Caller, request: DetachRequest, signal: AbortSignal): Promise<DetachAnswer> => {
    const sandbox = await sandboxOf(request, signal);
    if (sandbox === undefined) return { detached: false };
    return await lanes.run(sandbox.id, () => detachInLane(caller, request, sandbox, signal), signal);
  };

  /** Where it is now, or as a record has it. */
  async function sandboxOf(
    { target, which }: DetachRequest,
    signal: AbortSignal,
  ): Promise<Sandbox | undefined> {
    if (!target) {
      if (which.by === "id") return book.byId(which.attachmentId)?.sandbox;
      throw new PodplugError(
        "INVALID_REQUEST",
        "a target is needed unless the attachment is named by its ID",
      );
    }
    try {
      return await sandboxes.locate(target, signal);
    } catch (error) {
      const recorded = isGone(error) && recordOf(target, which);
      if (!recorded) throw error;
      return recorded.sandbox;
    }
  }

  /** Of sandboxes that are gone: more than one may have been made for the target, one after the other. */
  function recordOf(target: Target, which: AttachmentChoice): AttachmentRecord | undefined {
    for (const { sandbox } of book.all().filter((record) => wasMadeFor(target, record))) {
      const record = chooseAttachment(which, recordsOf(sandbox));
      if (record) return record;
    }
    return undefined;
  }

  async function detachInLane(
    caller: Caller,
    request: DetachRequest,
    sandbox: Sandbox,
    signal: AbortSignal,
  ): Promise<DetachAnswer> {
    core.refuseWhenStopping();
    const records = recordsOf(sandbox);
    const record =
      chooseAttachment(request.which, records) ?? (await findByPresentName(request, records, signal));
    if (!record) return { detached: false };
    if (!request.force && !mayRemove(caller, record)) {
      throw new PodplugError(
        "OWNED_BY_OTHER",
        `${record.ifName} (${record.network}) is owned by ${record.owner}`,
      );
    }
    await remove(record, sandbox, signal);
    const view = viewOfDetached(record);
    feed.publish({ kind: "detached", interface: view });
    log.info(factsOf(record), "detached");
    return { detached: true, interface: view };
  }

  function recordsOf(sandbox: Sandbox): readonly AttachmentRecord[] {
    return [...book.ofSandbox(sandbox.id), ...book.waitingFor(sandbox)];
  }

  async function remove(record: AttachmentRecord, sandbox: Sandbox, signal: AbortSignal): Promise<void> {
    if (record.state === "waiting") return await book.remove(record);
    const reached = await namespaces.reach(record, sandbox, signal);
    signal.throwIfAborted();
    await applier.detach({ ...reached, restores: undefined });
  }

  /**
   * The attachment whose interface has the name by now. One that is there
   * without being an attachment must not look as if it had been detached:
   * NOT_DETACHABLE.
   */
  async function findByPresentName(
    { target, which }: DetachRequest,
    records: readonly AttachmentRecord[],
    signal: AbortSignal,
  ): Promise<AttachmentRecord | undefined> {
    if (!target || which.by !== "interface") return undefined;
    const links = await interfaces.list(await sandboxes.locate(target, signal), signal);
    const link = links.find(({ name }) => name === which.interface);
    const record = link && records.find(({ chain }) => chain.ifIndex === link.index);
    if (record) return record;
    if (which.interface === "lo" || link) {
      throw new PodplugError(
        "NOT_DETACHABLE",
        `${which.interface} of ${describeTarget(target)} isn't an attachment of podplug's`,
      );
    }
    return undefined;
  }
}

/** Whether the record's target was named so, or can be told to be the same without asking the runtime. */
function wasMadeFor(target: Target, record: AttachmentRecord): boolean {
  const { id, netnsPath, pod } = record.sandbox;
  switch (target.kind) {
    case "netns":
      if (netnsPath === target.netns) return true;
      break;
    case "container":
      if (id === target.containerId) return true;
      break;
    case "pod":
      return (
        target.pod.namespace === pod?.namespace &&
        target.pod.name === pod.name &&
        (!target.pod.uid || target.pod.uid === pod.uid)
      );
  }
  return canonicalJson(record.target) === canonicalJson(target);
}
