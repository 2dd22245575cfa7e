import { PodplugError } from "../../src/domain/errors.ts";
import { abortError } from "../../src/domain/signals.ts";
import { describeTarget, type PodRef, type Target } from "../../src/domain/target.ts";
import type { Sandbox, SandboxLocator } from "../../src/sandbox/contract.ts";
import { netnsSandboxId } from "../../src/sandbox/netns-files.ts";
import type { FakeInterfaces } from "./fake-interfaces.ts";

interface FakePodOptions {
  readonly uid?: string;
  /** An application container's ID, which leads to the sandbox too. */
  readonly containerId?: string;
  /** A `lo` has no need to be told; the pod's own network has. */
  readonly eth0?: boolean;
}

/**
 * A container runtime in memory, whose sandboxes have their namespaces in a
 * fake kernel. Also finds namespaces by their paths: a pod's own gives the
 * pod's sandbox, another one a sandbox named by its identity.
 */
export interface FakeSandboxes extends SandboxLocator {
  /** A running pod with a sandbox, a namespace and an `eth0` in it (unless told not to). */
  addPod(pod: PodRef, options?: FakePodOptions): Promise<Sandbox>;
  /** Another sandbox, with another namespace, for the same pod; the old namespace is gone. */
  replaceSandbox(pod: PodRef): Promise<Sandbox>;
  /** The sandbox is started again: it keeps its ID, and has another namespace. */
  restartSandbox(pod: PodRef): Promise<Sandbox>;
  /** It exists but doesn't run: SANDBOX_NOT_READY; its namespace is gone. */
  stopPod(pod: PodRef): void;
  removePod(pod: PodRef): void;
  /** Every question fails with it (UNREACHABLE, for one), until cleared with `undefined`. */
  failWith(error: PodplugError | undefined): void;
}

interface FakePod {
  readonly ref: PodRef & { readonly uid: string };
  readonly options: FakePodOptions;
  readonly sandbox: Sandbox;
  readonly running: boolean;
}

export function createFakeSandboxes(interfaces: FakeInterfaces): FakeSandboxes {
  const pods = new Map<string, FakePod>();
  let made = 0;
  let failure: PodplugError | undefined;
  const never = new AbortController().signal;

  const keyOf = ({ namespace, name }: PodRef): string => `${namespace}/${name}`;

  const podAt = (ref: PodRef): FakePod => {
    const pod = pods.get(keyOf(ref));
    if (!pod) throw new Error(`the test has no pod ${keyOf(ref)}`);
    return pod;
  };

  const begin = (signal: AbortSignal): void => {
    if (signal.aborted) throw abortError(signal, "asking the runtime");
    if (failure) throw failure;
  };

  const start = async (ref: FakePod["ref"], options: FakePodOptions, kept?: string): Promise<Sandbox> => {
    made += 1;
    const id = kept ?? made.toString(16).padStart(64, "0");
    const netnsPath = `/run/netns/cni-${made}`;
    interfaces.addNetns(netnsPath);
    if (options.eth0 ?? true) interfaces.addLink(netnsPath, { name: "eth0", ips: [`10.244.0.${made}/24`] });
    const sandbox = { id, netnsPath, netns: await interfaces.identify(netnsPath, never), pod: ref };
    pods.set(keyOf(ref), { ref, options, sandbox, running: true });
    return sandbox;
  };

  const end = (pod: FakePod): void => {
    // Gone already after a reboot of the fake kernel.
    if (interfaces.hasNetns(pod.sandbox.netnsPath)) interfaces.removePath(pod.sandbox.netnsPath);
  };

  const answer = (pod: FakePod | undefined, target: Target): Sandbox => {
    if (!pod) throw new PodplugError("TARGET_NOT_FOUND", `no ${describeTarget(target)} on this node`);
    if (!pod.running) throw new PodplugError("SANDBOX_NOT_READY", `${describeTarget(target)} doesn't run`);
    return pod.sandbox;
  };

  return {
    async describe(signal) {
      begin(signal);
      return "fake 1.0.0";
    },
    async locate(target, signal) {
      begin(signal);
      switch (target.kind) {
        case "pod": {
          const { uid } = target.pod;
          const pod = pods.get(keyOf(target.pod));
          if (pod && uid !== undefined && pod.ref.uid !== uid) {
            throw new PodplugError("UID_MISMATCH", `${describeTarget(target)} has another UID`);
          }
          return answer(pod, target);
        }
        case "container":
          return answer(
            pods
              .values()
              .find(({ sandbox, options }) => [sandbox.id, options.containerId].includes(target.containerId)),
            target,
          );
        case "netns": {
          const netns = await interfaces.identify(target.netns, signal);
          const id = netnsSandboxId(netns);
          const pod = pods.values().find(({ sandbox }) => netnsSandboxId(sandbox.netns) === id);
          return pod ? answer(pod, target) : { id, netnsPath: target.netns, netns };
        }
      }
    },
    async list(signal) {
      begin(signal);
      return [...pods.values()].filter(({ running }) => running).map(({ sandbox }) => sandbox);
    },

    addPod(pod, options = {}) {
      if (pods.has(keyOf(pod))) throw new Error(`the test has a pod ${keyOf(pod)} already`);
      return start({ ...pod, uid: pod.uid ?? options.uid ?? `uid-${made + 1}` }, options);
    },
    async replaceSandbox(ref) {
      const pod = podAt(ref);
      end(pod);
      return await start(pod.ref, pod.options);
    },
    async restartSandbox(ref) {
      const pod = podAt(ref);
      end(pod);
      return await start(pod.ref, pod.options, pod.sandbox.id);
    },
    stopPod(ref) {
      const pod = podAt(ref);
      end(pod);
      pods.set(keyOf(ref), { ...pod, running: false });
    },
    removePod(ref) {
      end(podAt(ref));
      pods.delete(keyOf(ref));
    },
    failWith(error) {
      failure = error;
    },
  };
}
