import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { isCniName } from "../domain/names.ts";
import type { Reason } from "../domain/reasons.ts";
import { abortError } from "../domain/signals.ts";
import { describeTarget, type PodRef, type Target } from "../domain/target.ts";
import { type InterfaceReader, isSameNetns, type NetnsIdentity } from "../interfaces/contract.ts";
import { choosePodSandbox, newestOfEachPod } from "./choose-sandbox.ts";
import type { Sandbox, SandboxLocator } from "./contract.ts";
import { hidesNamespace } from "./hidden-namespaces.ts";
import { createHostNetns } from "./host-netns.ts";
import { createKnownSandboxes, type KnownSandbox } from "./known-sandboxes.ts";
import { createLookAtEach } from "./look-at-each.ts";
import { createNetnsLocator } from "./netns-files.ts";
import type { ListedSandbox, Runtime, SandboxLook } from "./runtime.ts";

/**
 * For so long a sandbox may say nothing after the last of the others did, in a
 * listing; longer where the runtime took long to list them.
 */
const leastPatienceMs = 2_000;

/** What every locator that asks a container runtime takes. */
export interface RuntimeLocatorOptions {
  readonly interfaces: InterfaceReader;
  readonly clock: Clock;
  readonly log: Logger;
  /** Runtime handlers that are plugged into although they hide the namespace from the pod. */
  readonly pluggableHandlers?: readonly string[] | undefined;
  readonly hostNetnsPaths?: readonly string[] | undefined;
}

/**
 * The SandboxLocator that all container runtimes share. What it learnt of a
 * sandbox it remembers by the sandbox's ID, and before each use finds out only
 * whether the sandbox is still ready: by its process, else from the runtime.
 * Failures besides the contract's: HOST_NETWORK, UID_MISMATCH, NAMESPACE_HIDDEN, and UNSUPPORTED
 * when the runtime doesn't say where the namespace is.
 */
export function createRuntimeLocator(runtime: Runtime, options: RuntimeLocatorOptions): SandboxLocator {
  const { interfaces, clock, log, pluggableHandlers = [], hostNetnsPaths } = options;
  const hostNetns = createHostNetns(interfaces, hostNetnsPaths);
  const bareNamespaces = createNetnsLocator({ interfaces, hostNetnsPaths });
  const known = createKnownSandboxes(clock);
  const lookAtEach = createLookAtEach(refresh, clock);
  /** Those that the last listing was without, and that were told of. */
  let leftOut: ReadonlySet<string> = new Set();

  /** What a path leads to now; undefined when that is no namespace any more. */
  async function identify(path: string, signal: AbortSignal): Promise<NetnsIdentity | undefined> {
    try {
      return await interfaces.identify(path, signal);
    } catch (error) {
      if (isOneOf(error, ["TARGET_NOT_FOUND", "TARGET_INVALID"])) return undefined;
      throw error;
    }
  }

  /** The path still leads to the namespace that the sandbox had: paths and PIDs are recycled. */
  async function isUnchanged({ sandbox }: KnownSandbox, signal: AbortSignal): Promise<boolean> {
    if (!sandbox) return true;
    const netns = await identify(sandbox.netnsPath, signal);
    return netns !== undefined && isSameNetns(netns, sandbox.netns);
  }

  async function isCurrent(entry: KnownSandbox, signal: AbortSignal): Promise<boolean> {
    const [ready, unchanged] = await Promise.all([isReady(entry, signal), isUnchanged(entry, signal)]);
    if (!ready || !unchanged) known.forget(entry.id);
    return ready && unchanged;
  }

  async function isReady(entry: KnownSandbox, signal: AbortSignal): Promise<boolean> {
    const { id } = entry;
    if (known.wasJustReady(id)) return true;
    const ready = (await hasProcess(entry, signal)) || (await runtime.isReady(id, signal));
    if (ready) known.sawReady(id);
    return ready;
  }

  /**
   * Its first process, alive in its namespace, says that it runs, sooner and
   * for less than the runtime does. Where there is none to be seen, or another
   * one has its PID by now, that says nothing.
   */
  async function hasProcess({ sandbox, processPath }: KnownSandbox, signal: AbortSignal): Promise<boolean> {
    if (!sandbox || processPath === undefined) return false;
    const netns = await interfaces.identify(processPath, signal).catch(() => undefined);
    return netns !== undefined && isSameNetns(netns, sandbox.netns);
  }

  async function learn(id: string, signal: AbortSignal): Promise<KnownSandbox> {
    known.forget(id);
    const look = await runtime.look(id, signal);
    if (!look?.ready) throw new PodplugError("SANDBOX_NOT_READY", `sandbox ${id} isn't ready`);
    const entry = await judge(look, signal);
    known.remember(entry);
    return entry;
  }

  async function judge(look: SandboxLook, signal: AbortSignal): Promise<KnownSandbox> {
    const { id, pod } = look;
    const what = pod ? describeTarget({ kind: "pod", pod }) : `container ${id}`;
    const hostNetwork = {
      reason: "HOST_NETWORK",
      message: `${what} uses the node's own network`,
    } as const;
    if (look.hostNetwork) return { id, pod, refusal: hostNetwork };
    const { path, netns } = await namespaceOf(look, signal);
    if (await hostNetns.includes(netns, signal)) return { id, pod, refusal: hostNetwork };
    const hiding = look.handlers.find((handler) => hidesNamespace(handler, pluggableHandlers));
    const refusal =
      hiding === undefined
        ? undefined
        : ({
            reason: "NAMESPACE_HIDDEN",
            message: `${what} is run by ${hiding}, which hides the namespace from it`,
          } as const);
    const processPath = look.netnsPaths.find((each) => each.startsWith("/proc/"));
    return { id, pod, refusal, processPath, sandbox: { id, netnsPath: path, netns, ...(pod && { pod }) } };
  }

  async function namespaceOf(
    { id, netnsPaths }: SandboxLook,
    signal: AbortSignal,
  ): Promise<{ readonly path: string; readonly netns: NetnsIdentity }> {
    for (const path of netnsPaths) {
      const netns = await identify(path, signal);
      if (netns) return { path, netns };
    }
    if (netnsPaths.length === 0) {
      throw new PodplugError(
        "UNSUPPORTED",
        `the container runtime doesn't say where the network namespace of sandbox ${id} is`,
      );
    }
    throw new PodplugError(
      "SANDBOX_NOT_READY",
      `the network namespace of sandbox ${id} is gone: ${netnsPaths.join(", ")}`,
    );
  }

  /** Of a sandbox that the runtime just listed as ready. */
  async function refresh(id: string, signal: AbortSignal): Promise<KnownSandbox> {
    const entry = known.get(id);
    if (entry && (await isUnchanged(entry, signal))) return known.confirm(entry);
    return await learn(id, signal);
  }

  async function ofPod(pod: PodRef, signal: AbortSignal): Promise<KnownSandbox> {
    const entry = known.ofPod(pod);
    if (entry && (await isCurrent(entry, signal))) return entry;
    const chosen = choosePodSandbox(await runtime.listOfPod(pod, signal), pod);
    return await refresh(chosen.id, signal);
  }

  async function ofContainer(containerId: string, signal: AbortSignal): Promise<KnownSandbox> {
    if (!isCniName(containerId)) {
      throw new PodplugError("TARGET_INVALID", `${JSON.stringify(containerId)} isn't a container's ID`);
    }
    const id = known.get(containerId)?.id ?? (await runtime.sandboxIdOf(containerId, signal));
    if (id === undefined) {
      throw new PodplugError("TARGET_NOT_FOUND", `no container ${containerId} on this node`);
    }
    const entry = known.get(id);
    return entry && (await isCurrent(entry, signal)) ? entry : await learn(id, signal);
  }

  /**
   * A pod's own namespace gives the pod's sandbox, so that both names share one
   * lane: it is nobody's only when every sandbox was told of.
   */
  async function ofNamespace(target: Target, signal: AbortSignal): Promise<Sandbox> {
    const bare = await bareNamespaces.locate(target, signal);
    const entry = known.ofNetns(bare.netns);
    if (entry && (await isCurrent(entry, signal))) return admit(entry);
    const { left } = await lookAtEach(await listReady(signal), {}, signal);
    const learnt = known.ofNetns(bare.netns);
    if (learnt) return admit(learnt);
    const [failure] = left.values();
    if (failure) throw failure;
    return bare;
  }

  async function listReady(signal: AbortSignal): Promise<readonly ListedSandbox[]> {
    const listed = newestOfEachPod(await runtime.listReady(signal));
    known.keepOnly(new Set(listed.map(({ id }) => id)));
    return listed;
  }

  /** Every sandbox that can be told of: one whose shim hangs, say, must not hide the others. */
  async function learnReady(signal: AbortSignal): Promise<readonly KnownSandbox[]> {
    const beganMs = clock.steadyMs();
    const listed = await listReady(signal);
    const patienceMs = Math.max(leastPatienceMs, 2 * (clock.steadyMs() - beganMs));
    const { learnt, left } = await lookAtEach(listed, { patienceMs }, signal);
    await requireOwnTrouble([...left.values()], learnt.length, signal);
    for (const { id, pod } of listed) {
      const error = left.get(id);
      if (!error || leftOut.has(id)) continue;
      const facts = { sandbox: id, ...(pod && { pod: `${pod.namespace}/${pod.name}` }), err: error };
      log.warn(facts, "a sandbox can't be looked at; it is left out until it can be");
    }
    leftOut = new Set(left.keys());
    return learnt;
  }

  /** Throws when the failures are about the runtime, or this process, rather than about single sandboxes. */
  async function requireOwnTrouble(
    failures: readonly PodplugError[],
    learnt: number,
    signal: AbortSignal,
  ): Promise<void> {
    const isAway = (error: PodplugError): boolean => error.reason === "UNREACHABLE";
    const shared = failures.find(
      (error) => error.reason === "RESOURCE_EXHAUSTED" || (learnt === 0 && !isAway(error)),
    );
    if (shared) throw shared;
    if (failures.some(isAway)) await runtime.describe(signal);
  }

  return {
    describe: (signal) => runtime.describe(signal),
    async locate(target, signal) {
      if (signal.aborted) throw abortError(signal, `looking for ${describeTarget(target)}`);
      switch (target.kind) {
        case "pod":
          return admit(await ofPod(target.pod, signal));
        case "container":
          return admit(await ofContainer(target.containerId, signal));
        case "netns":
          return await ofNamespace(target, signal);
      }
    },
    async list(signal) {
      if (signal.aborted) throw abortError(signal, "listing sandboxes");
      return (await learnReady(signal)).flatMap(({ sandbox, refusal }) =>
        sandbox && !refusal ? [sandbox] : [],
      );
    },
  };
}

function admit({ id, sandbox, refusal }: KnownSandbox): Sandbox {
  if (refusal) throw new PodplugError(refusal.reason, refusal.message);
  if (!sandbox) throw new PodplugError("INTERNAL", `sandbox ${id} has neither a namespace nor a refusal`);
  return sandbox;
}

function isOneOf(error: unknown, reasons: readonly Reason[]): boolean {
  return error instanceof PodplugError && reasons.includes(error.reason);
}
