import { randomUUID } from "node:crypto";

/**
 * The environment variable by which a plugin and all it starts are found
 * again, however they detach themselves: `<agent ID>/<run ID>`. Children
 * inherit it, and the kernel shows it in /proc/PID/environ.
 */
export const runMarkerName = "PODPLUG_RUN";

/** The marker of one run, unlike that of any other. */
export function newRunMarker(agentId: string): string {
  return `${agentMarkerPrefix(agentId)}${randomUUID()}`;
}

/** What every marker of an agent's runs begins with, and no other agent's. */
export function agentMarkerPrefix(agentId: string): string {
  return `${agentId}/`;
}
