import { randomUUID } from "node:crypto";
import type { Caller } from "../domain/attachment.ts";
import { isReservedOwner } from "../domain/attachment.ts";
import { failureOf, PodplugError } from "../domain/errors.ts";
import type { AttachAnswer, AttachRequest, PodInterface } from "../domain/node-api.ts";
import { normalizeSelection } from "../domain/selection.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import type { Plan, Wish } from "./plan.ts";
import { planAttach } from "./plan.ts";
import { viewOf } from "./view.ts";

interface Work {
  readonly caller: Caller;
  readonly request: AttachRequest;
  readonly wish: Wish;
  readonly sandbox: Sandbox;
}

/** A plan that needs no cleaning up first. */
type ClearPlan = Exclude<Plan, { step: "clean" }>;

/** The engine's AttachNetwork: find the sandbox, and in its lane plan, prepare, apply. */
export function createAttach(core: EngineCore) {
  const { networks, executor, interfaces, sandboxes, book, lanes, feed, applier, log } = core;

  return async (caller: Caller, request: AttachRequest, signal: AbortSignal): Promise<AttachAnswer> => {
    const owner = request.owner || caller.name;
    if (isReservedOwner(owner) && !caller.reconciler) {
      throw new PodplugError("OWNER_RESERVED", `owner ${owner} is the controller's alone`);
    }
    const selection = normalizeSelection(request.network);
    const wish: Wish = { selection, owner, key: request.key ?? "", replace: request.replace ?? false };
    const sandbox = await sandboxes.locate(request.target, signal);
    return await lanes.run(
      sandbox.id,
      () => attachInLane({ caller, request, wish, sandbox }, signal),
      signal,
    );
  };

  async function attachInLane(work: Work, signal: AbortSignal): Promise<AttachAnswer> {
    core.refuseWhenStopping();
    const { request, wish, sandbox } = work;
    const validateOnly = request.validateOnly ?? false;
    const plan = await planNow(wish, sandbox, validateOnly, signal);
    if (plan.step === "exists") return { interface: await lookAt(plan.record, signal), created: false };
    const intent = await intend(work, plan, signal);
    if (validateOnly) {
      const planned = viewOf(sandbox, undefined, intent);
      return { interface: { ...planned, state: undefined, attachmentId: "" }, created: false };
    }
    // The last moment at which a caller that left changes anything.
    signal.throwIfAborted();
    return await carryOut(intent);
  }

  async function carryOut(intent: AttachmentRecord): Promise<AttachAnswer> {
    try {
      const { record, link } = await applier.attach(intent);
      const view = viewOf(record.sandbox, link, record);
      feed.publish({ kind: intent.replaces ? "changed" : "attached", interface: view });
      log.info(factsOf(intent), "attached");
      return { interface: view, created: true };
    } catch (error) {
      const failure = failureOf(error);
      log.warn({ ...factsOf(intent), reason: failure.reason, err: error }, "attaching failed");
      const view = viewOf(intent.sandbox, undefined, { ...intent, state: "failed", failure });
      feed.publish({ kind: "failed", interface: view, failure });
      throw error;
    }
  }

  async function planNow(
    wish: Wish,
    sandbox: Sandbox,
    validateOnly: boolean,
    signal: AbortSignal,
  ): Promise<ClearPlan> {
    const links = await interfaces.list(sandbox, signal);
    const plan = planAttach(wish, { records: book.ofSandbox(sandbox.id), links }, core.ifNaming);
    if (plan.step !== "clean") return plan;
    const pending = `an earlier attachment of ${plan.record.ifName} is still to be cleaned up`;
    if (validateOnly) throw new PodplugError("CLEANUP_PENDING", pending);
    try {
      await core.cleanUp(plan.record);
    } catch (error) {
      throw new PodplugError("CLEANUP_PENDING", `${pending}: ${failureOf(error).message}`, { cause: error });
    }
    return await planNow(wish, sandbox, validateOnly, signal);
  }

  /** Checks all that can be checked before anything changes, and says what would be done. */
  async function intend(
    { caller, request, wish, sandbox }: Work,
    plan: Exclude<ClearPlan, { step: "exists" }>,
    signal: AbortSignal,
  ): Promise<AttachmentRecord> {
    const definition = await networks.find(wish.selection, sandbox.pod?.namespace, signal);
    const deep = request.validateOnly ?? false;
    const prepared = await executor.prepare(definition, wish.selection, { deep }, signal);
    const { networkName, config, capabilityArgs } = prepared;
    return {
      id: randomUUID(),
      state: "attaching",
      sandbox,
      ifName: plan.step === "replace" ? plan.record.ifName : plan.ifName,
      target: request.target,
      network: definition.displayName,
      selection: wish.selection,
      owner: wish.owner,
      key: wish.key,
      caller: caller.name,
      executor: executor.name,
      chain: { networkName, config, capabilityArgs, cniArgs: cniArgsOf(sandbox) },
      replaces: plan.step === "replace" ? plan.record.chain : undefined,
    };
  }

  async function lookAt(record: AttachmentRecord, signal: AbortSignal): Promise<PodInterface> {
    const links = await interfaces.list(record.sandbox, signal);
    const link = links.find((each) => each.index === record.chain.ifIndex);
    return viewOf(record.sandbox, link, record);
  }
}

/** CNI_ARGS as kubelet and Multus give them; a bare namespace has nothing to say. */
function cniArgsOf({ id, pod }: Sandbox): readonly (readonly [string, string])[] {
  if (!pod) return [];
  return [
    ["IgnoreUnknown", "true"],
    ["K8S_POD_NAMESPACE", pod.namespace],
    ["K8S_POD_NAME", pod.name],
    ["K8S_POD_INFRA_CONTAINER_ID", id],
    ["K8S_POD_UID", pod.uid ?? ""],
  ];
}
