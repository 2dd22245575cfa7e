import { setTimeout as pause } from "node:timers/promises";
import { type NodeApi, type PodInterface, PodplugError, type Target } from "podplug";

export interface Link {
  readonly network: string;
  readonly interface: string;
}

/**
 * Plugs a network, and asks again while what stands in the way may pass: the
 * pod isn't there yet, a plugin is busy, an agent is being updated. Asking
 * again for what is there changes nothing.
 */
export async function plug(
  api: NodeApi,
  target: Target,
  { network, interface: ifName }: Link,
  signal: AbortSignal,
): Promise<PodInterface> {
  for (;;) {
    try {
      const answer = await api.attach({ target, network: { name: network, interface: ifName } }, signal);
      return answer.interface;
    } catch (error) {
      if (!(error instanceof PodplugError) || !error.transient) throw error;
      console.log(`waiting: ${error.reason}: ${error.message}`);
      await pause(error.retryAfterMs ?? 1000, undefined, { signal });
    }
  }
}
