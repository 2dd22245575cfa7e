import type { Caller } from "../domain/attachment.ts";
import { isReservedOwner } from "../domain/attachment.ts";
import { PodplugError } from "../domain/errors.ts";
import { canonicalJson } from "../domain/json.ts";
import type { DetachAnswer, DetachRequest } from "../domain/node-api.ts";
import type { Target } from "../domain/target.ts";
import { describeTarget } from "../domain/target.ts";
import { factsOf } from "./apply.ts";
import { chooseAttachment } from "./choose.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import { viewOfDetached } from "./view.ts";

/** The engine's DetachNetwork: DEL from the record alone, whatever became of the target and the definition. */
export function createDetach(core: EngineCore) {
  const { interfaces, sandboxes, book, lanes, feed, applier, log } = core;

  return async (caller: Caller, request: DetachRequest, signal: AbortSignal): Promise<DetachAnswer> => {
    const sandboxId = await sandboxIdOf(request, signal);
    if (sandboxId === undefined) return { detached: false };
    return await lanes.run(sandboxId, () => detachInLane(caller, request, sandboxId, signal), signal);
  };

  async function sandboxIdOf(
    { target, which }: DetachRequest,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (!target) {
      if (which.by === "id") return book.byId(which.attachmentId)?.sandbox.id;
      throw new PodplugError(
        "INVALID_REQUEST",
        "a target is needed unless the attachment is named by its ID",
      );
    }
    try {
      return (await sandboxes.locate(target, signal)).id;
    } catch (error) {
      const recorded = book.all().find((record) => wasMadeFor(target, record));
      if (recorded && error instanceof PodplugError && error.kind === "not-found") return recorded.sandbox.id;
      throw error;
    }
  }

  async function detachInLane(
    caller: Caller,
    request: DetachRequest,
    sandboxId: string,
    signal: AbortSignal,
  ): Promise<DetachAnswer> {
    core.refuseWhenStopping();
    const record = chooseAttachment(request.which, book.ofSandbox(sandboxId));
    if (!record) {
      await refuseUndetachable(request, signal);
      return { detached: false };
    }
    if (!request.force && !mayDetach(caller, record)) {
      throw new PodplugError(
        "OWNED_BY_OTHER",
        `${record.ifName} (${record.network}) is owned by ${record.owner}`,
      );
    }
    signal.throwIfAborted();
    await applier.detach(record);
    const view = viewOfDetached(record);
    feed.publish({ kind: "detached", interface: view });
    log.info(factsOf(record), "detached");
    return { detached: true, interface: view };
  }

  /** An interface that is there without being an attachment must not look as if it had been detached. */
  async function refuseUndetachable({ target, which }: DetachRequest, signal: AbortSignal): Promise<void> {
    if (!target || which.by !== "interface") return;
    const links = await interfaces.list(await sandboxes.locate(target, signal), signal);
    if (which.interface === "lo" || links.some((link) => link.name === which.interface)) {
      throw new PodplugError(
        "NOT_DETACHABLE",
        `${which.interface} of ${describeTarget(target)} isn't an attachment of podplug's`,
      );
    }
  }
}

function wasMadeFor(target: Target, record: AttachmentRecord): boolean {
  if (target.kind === "netns") return record.sandbox.netnsPath === target.netns;
  if (target.kind === "container") return record.sandbox.id === target.containerId;
  const { pod } = record.sandbox;
  return (
    canonicalJson([target.pod.namespace, target.pod.name]) === canonicalJson([pod?.namespace, pod?.name]) &&
    (!target.pod.uid || target.pod.uid === pod?.uid)
  );
}

/** Its owner, whoever asked for it under an owner's name, and the reconcilers for what is theirs. */
function mayDetach(caller: Caller, record: AttachmentRecord): boolean {
  if (caller.reconciler) return isReservedOwner(record.owner);
  return record.owner === caller.name || record.caller === caller.name;
}
