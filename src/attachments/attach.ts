import { randomUUID } from "node:crypto";
import type { Caller } from "../domain/attachment.ts";
import { isReservedOwner } from "../domain/attachment.ts";
import { failureOf, PodplugError } from "../domain/errors.ts";
import type { AttachAnswer, AttachRequest } from "../domain/node-api.ts";
import { normalizeSelection } from "../domain/selection.ts";
import { neverAborted } from "../domain/signals.ts";
import { describeTarget } from "../domain/target.ts";
import type { PreparedNetwork } from "../executor/contract.ts";
import { isSameNetns, type KernelInterface } from "../interfaces/contract.ts";
import type { NetworkDefinition } from "../networks/contract.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { createAdopt } from "./adopt.ts";
import { factsOf, requireName } from "./apply.ts";
import { cniArgsOf } from "./cni-args.ts";
import type { AttachWork, EngineCore } from "./core.ts";
import { earlierSandboxes } from "./ending.ts";
import type { AttachmentRecord } from "./journal.ts";
import { mayRemove } from "./ownership.ts";
import type { Plan, Wish } from "./plan.ts";
import { planAttach } from "./plan.ts";
import { requireDevice } from "./require-device.ts";
import { viewOf, viewOfDetached } from "./view.ts";

/** A plan that needs no cleaning up first. */
type ClearPlan = Exclude<Plan, { step: "clean" }>;

export interface Attach {
  /** The engine's AttachNetwork: find the sandbox, and in its lane plan, prepare, apply. */
  readonly attach: (caller: Caller, request: AttachRequest, signal: AbortSignal) => Promise<AttachAnswer>;
  /** What waited for this sandbox, as it was asked for. Its lane must be held. */
  readonly attachAgain: (record: AttachmentRecord, sandbox: Sandbox) => Promise<void>;
}

export function createAttach(core: EngineCore): Attach {
  const { networks, executor, interfaces, sandboxes, namespaces, book, lanes, gate, feed, applier, log } =
    core;
  const adopt = createAdopt(core);

  return { attach, attachAgain };

  async function attach(caller: Caller, request: AttachRequest, signal: AbortSignal): Promise<AttachAnswer> {
    const owner = request.owner || caller.name;
    if (isReservedOwner(owner) && !caller.reconciler) {
      throw new PodplugError("OWNER_RESERVED", `owner ${owner} is the controller's alone`);
    }
    if (request.adopt && !caller.reconciler) {
      throw new PodplugError("DENIED", "adopting is the controller's alone");
    }
    const selection = normalizeSelection(request.network);
    if (selection.ipamClaimReference !== undefined && !caller.reconciler) {
      // No plugin is told of it: those that know claims read them from the pod's own annotation, as with Multus.
      const message =
        "ipam-claim-reference works in a pod's annotation alone, where its network's plugin reads it";
      throw new PodplugError("UNSUPPORTED", message);
    }
    const wish: Wish = { selection, owner, key: request.key ?? "", replace: request.replace ?? false };
    const sandbox = await sandboxes.locate(request.target, signal);
    return await lanes.run(
      sandbox.id,
      () => attachInLane({ caller, request, wish, sandbox }, signal),
      signal,
    );
  }

  async function attachAgain(record: AttachmentRecord, sandbox: Sandbox): Promise<void> {
    const { target, selection, owner, key, ifName } = record;
    const request = { target, network: selection, owner, key };
    const wish: Wish = { selection, owner, key, replace: false, preferredName: ifName };
    // It was allowed when it was asked for.
    const caller = { name: record.caller, reconciler: false, root: true };
    await attachInLane({ caller, request, wish, sandbox }, neverAborted);
  }

  async function attachInLane(work: AttachWork, signal: AbortSignal): Promise<AttachAnswer> {
    core.refuseWhenStopping();
    const { request, wish, sandbox } = work;
    if (sandbox.pod && core.podLife(sandbox.pod) === "ending") {
      throw new PodplugError("POD_ENDING", `${describeTarget(request.target)} is being deleted`);
    }
    for (const earlier of earlierSandboxes(sandbox, book.all())) await core.endSandbox(earlier);
    if (request.adopt && !book.get(sandbox.id, wish.selection.interface ?? "")) {
      return await adopt(work, signal);
    }
    const validateOnly = request.validateOnly ?? false;
    // Read meanwhile; a plan that finds all there needs none.
    const definition = networks.find(wish.selection, sandbox.pod?.namespace, signal);
    definition.catch(() => {});
    const { plan, links } = await planNow(wish, sandbox, validateOnly, signal);
    if (plan.step === "exists") {
      const link = links.find(({ index }) => index === plan.record.chain.ifIndex);
      return { interface: viewOf(sandbox, link, plan.record), created: false };
    }
    const before = plan.step === "replace" ? plan.record : plan.waiting;
    if (before) requireReplaceable(work.caller, before, links);
    const intent = await intend(work, plan, definition, signal);
    if (validateOnly) {
      const planned = viewOf(sandbox, undefined, intent);
      return { interface: { ...planned, state: undefined, attachmentId: "" }, created: false };
    }
    // The last moment at which a caller that left changes anything.
    signal.throwIfAborted();
    return await carryOut(intent, plan.step === "replace" ? plan.record : undefined);
  }

  async function carryOut(
    intent: AttachmentRecord,
    replaced: AttachmentRecord | undefined,
  ): Promise<AttachAnswer> {
    try {
      const { record, link } = await applier.attach(intent);
      const view = viewOf(record.sandbox, link, record);
      feed.publish({ kind: replaced ? "changed" : "attached", interface: view });
      log.info(factsOf(intent), "attached");
      return { interface: view, created: true };
    } catch (error) {
      const failure = failureOf(error);
      log.warn({ ...factsOf(intent), reason: failure.reason, err: error }, "attaching failed");
      const view = viewOf(intent.sandbox, undefined, { ...intent, state: "failed", failure });
      feed.publish({ kind: "failed", interface: view, failure });
      if (replaced && !book.get(replaced.sandbox.id, replaced.ifName)) {
        feed.publish({ kind: "detached", interface: viewOfDetached(replaced) });
      }
      throw error;
    }
  }

  async function planNow(
    wish: Wish,
    sandbox: Sandbox,
    validateOnly: boolean,
    signal: AbortSignal,
  ): Promise<{ readonly plan: ClearPlan; readonly links: readonly KernelInterface[] }> {
    const links = await interfaces.list(sandbox, signal);
    const waiting = book.waitingFor(sandbox);
    const ownWaiting = waiting.filter((record) => isSameNetns(record.sandbox.netns, sandbox.netns));
    const present = {
      records: [...book.ofSandbox(sandbox.id), ...ownWaiting],
      links,
      reserved: waiting.map(({ ifName }) => ifName),
    };
    const plan = planAttach(wish, present, core.ifNaming);
    if (plan.step !== "clean") return { plan, links };
    const pending = `an earlier attachment of ${plan.record.ifName} is still to be cleaned up`;
    if (validateOnly) throw new PodplugError("CLEANUP_PENDING", pending);
    try {
      book.note(await namespaces.reach(plan.record, sandbox, signal));
      await core.cleanUp(plan.record);
    } catch (error) {
      throw new PodplugError("CLEANUP_PENDING", `${pending}: ${failureOf(error).message}`, { cause: error });
    }
    return await planNow(wish, sandbox, validateOnly, signal);
  }

  /** Checks all that can be checked before anything changes, and says what would be done. */
  async function intend(
    { caller, request, wish, sandbox }: AttachWork,
    plan: Exclude<ClearPlan, { step: "exists" }>,
    found: Promise<NetworkDefinition>,
    signal: AbortSignal,
  ): Promise<AttachmentRecord> {
    await requireDevice(core.devices, { caller, selection: wish.selection, pod: sandbox.pod }, signal);
    const definition = await found;
    const ifName = plan.step === "replace" ? plan.record.ifName : plan.ifName;
    const attachment = { ifName, cniArgs: cniArgsOf(sandbox) };
    const prepare = (deep: boolean, until: AbortSignal): Promise<PreparedNetwork> =>
      executor.prepare(definition, wish.selection, { deep, attachment }, until);
    // Asking the plugins is work like any other: bounded in number and in time.
    const { networkName, config, capabilityArgs, cniArgs } = request.validateOnly
      ? await gate.shared(() => prepare(true, AbortSignal.any([signal, AbortSignal.timeout(core.timeoutMs)])))
      : await prepare(false, signal);
    return {
      id: randomUUID(),
      state: "attaching",
      sandbox,
      ifName,
      target: request.target,
      network: definition.displayName,
      selection: wish.selection,
      owner: wish.owner,
      key: wish.key,
      caller: caller.name,
      executor: executor.name,
      chain: { networkName, config, capabilityArgs, cniArgs },
      replaces: plan.step === "replace" ? plan.record.chain : undefined,
    };
  }
}

/** Before anything changes: what can't go must not lose its record to what can't come. */
function requireReplaceable(
  caller: Caller,
  record: AttachmentRecord,
  links: readonly KernelInterface[],
): void {
  if (!mayRemove(caller, record)) {
    const { ifName, network, owner } = record;
    const message = `${ifName} (${network}) was attached by another caller under owner ${owner}`;
    throw new PodplugError("OWNED_BY_OTHER", message);
  }
  requireName(record, links);
}
