import { isReservedOwner } from "../domain/attachment.ts";
import { isSameNetns } from "../interfaces/contract.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import { viewOfDetached } from "./view.ts";

/**
 * Gives back what ended with a sandbox's namespace: DEL without CNI_NETNS, for
 * each record of it. What was plugged into a pod that goes on waits from then
 * on for the pod's next sandbox; what is a reconciler's it plugs itself again,
 * and what was plugged by namespace or container has ended with those. Throws
 * the first failure, when all were tried.
 */
export function createEnding(
  core: Pick<EngineCore, "book" | "applier" | "feed" | "log" | "podLife" | "isStopping">,
): EngineCore["endSandbox"] {
  const { book, applier, feed, log, podLife } = core;

  const outlivesItsSandbox = ({ target, owner, sandbox: { pod } }: AttachmentRecord): boolean =>
    target.kind === "pod" &&
    pod !== undefined &&
    !isReservedOwner(owner) &&
    (podLife(pod) === "living" || podLife(pod) === "unknown");

  async function end(record: AttachmentRecord): Promise<void> {
    const restores = outlivesItsSandbox(record) ? true : undefined;
    await applier.detach({ ...record, restores });
    log.info({ ...factsOf(record), waits: restores ?? false }, "detached what its sandbox took with it");
    feed.publish({ kind: "detached", interface: viewOfDetached(record) });
  }

  return async (sandbox) => {
    let failure: { readonly error: unknown } | undefined;
    for (const record of book.ofSandbox(sandbox.id)) {
      if (core.isStopping()) return;
      if (record.state !== "attached" || !isSameNetns(record.sandbox.netns, sandbox.netns)) continue;
      // One that fails must not keep the others.
      await end(record).catch((error: unknown) => {
        if (failure) log.warn({ ...factsOf(record), err: error }, "detaching after a sandbox's end failed");
        failure ??= { error };
      });
    }
    if (failure) throw failure.error;
  };
}

/** The sandboxes of this ID that were there before the present one: a container that is started again keeps its ID. */
export function earlierSandboxes(
  { id, netns }: Sandbox,
  records: readonly AttachmentRecord[],
): readonly Sandbox[] {
  return records
    .filter((record) => record.state === "attached" && record.sandbox.id === id)
    .map(({ sandbox }) => sandbox)
    .filter((sandbox) => !isSameNetns(sandbox.netns, netns));
}
