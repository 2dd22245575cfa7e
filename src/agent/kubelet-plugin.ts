import { isIPv4 } from "node:net";
import type { WantedSelection } from "../controller/wanted.ts";
import { type Clock, pause } from "../domain/clock.ts";
import { asPodplugError, PodplugError } from "../domain/errors.ts";
import { podInterface } from "../domain/names.ts";
import type { NodeApi, PodInterface } from "../domain/node-api.ts";
import type { Reason } from "../domain/reasons.ts";
import { bareAddress } from "../domain/selection.ts";
import type { Target } from "../domain/target.ts";

export interface KubeletPluginOptions {
  readonly api: NodeApi;
  /** What contiv's intent has for a pod. Throws when that can't be told. */
  readonly wanted: (pod: PodName) => readonly WantedSelection[];
  /** Whether the agent plugs it by itself. */
  readonly agentPlugs: boolean;
  readonly clock: Clock;
}

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** As the kubelet's exec contract gives them. */
export interface InfraContainer {
  /** As the arguments say; the container's own labels count where they can be had. */
  readonly pod: PodName;
  readonly containerId: string;
}

export interface KubeletPlugin {
  /** Resolves once the pod has all that the intent has for it. */
  setup(container: InfraContainer, signal: AbortSignal): Promise<void>;
  /** Resolves once nothing of it is left that setup plugged; at once when the container has exited or is gone. */
  teardown(container: InfraContainer, signal: AbortSignal): Promise<void>;
  /** The address of the pod's own interface; undefined when it has none. */
  address(container: InfraContainer, signal: AbortSignal): Promise<string | undefined>;
}

const lookEveryMs = 500;
const ended: readonly Reason[] = ["TARGET_NOT_FOUND", "SANDBOX_NOT_READY"];

/**
 * What contiv's plugin did for the kubelet, by the agent's API. An agent with a
 * controller plugs by itself: then setup waits for it, and teardown leaves to
 * it what goes with the pod.
 */
export function createKubeletPlugin({ api, wanted, agentPlugs, clock }: KubeletPluginOptions): KubeletPlugin {
  const targetOf = ({ containerId }: InfraContainer): Target => ({ kind: "container", containerId });

  async function podOf(container: InfraContainer, signal: AbortSignal): Promise<PodName> {
    const views = await api.list({ target: targetOf(container) }, signal);
    return views.find(({ pod }) => pod)?.pod ?? container.pod;
  }

  async function untilPlugged(
    container: InfraContainer,
    selections: readonly WantedSelection[],
    signal: AbortSignal,
  ) {
    for (;;) {
      const views = await api.list({ target: targetOf(container) }, signal);
      const missing = selections.filter((each) => !views.some((view) => isPlugged(each, view)));
      if (missing.length === 0) return;
      await pause(clock, lookEveryMs, signal);
      if (!signal.aborted) continue;
      const names = missing.map(({ network }) => network).join(", ");
      const message = `the agent hasn't plugged ${names} yet; the pod's events, and the agent's log, say why`;
      throw new PodplugError("DEADLINE_EXCEEDED", message);
    }
  }

  return {
    async setup(container, signal) {
      const selections = wanted(await podOf(container, signal));
      if (agentPlugs) return await untilPlugged(container, selections, signal);
      for (const { selection, key } of selections) {
        await api.attach({ target: targetOf(container), network: selection, key, replace: true }, signal);
      }
    },
    async teardown(container, signal) {
      if (agentPlugs) return;
      const target = targetOf(container);
      try {
        for (const { attachmentId, selection } of await api.list({ target }, signal)) {
          if (attachmentId === "" || selection?.source !== "contiv") continue;
          await api.detach({ target, which: { by: "id", attachmentId } }, signal);
        }
      } catch (thrown) {
        // The kubelet also asks for what has gone or exited; the agent cleans up after it by itself.
        if (!ended.includes(asPodplugError(thrown).reason)) throw thrown;
      }
    },
    async address(container, signal) {
      const views = await api.list({ target: targetOf(container) }, signal);
      const own = views.find(({ name, attachmentId }) => name === podInterface && attachmentId === "");
      const addresses = (own?.ips ?? []).map(bareAddress).filter((ip) => !/^fe[89ab]/i.test(ip));
      return addresses.find((ip) => isIPv4(ip)) ?? addresses[0];
    },
  };
}

function isPlugged({ key, selection }: WantedSelection, view: PodInterface): boolean {
  const { owner, state } = view;
  const hasAddress = selection.ips?.join() === view.selection?.ips?.join();
  return owner === "intent/contiv" && state === "attached" && view.key === key && hasAddress;
}
