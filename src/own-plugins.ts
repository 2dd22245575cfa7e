import { dirname, join } from "node:path";

/** Where podplug's own CNI plugins are, beside src/ as beside dist/. */
export const ownPluginsDir = join(import.meta.dirname, "../plugins");

/** Whether it is one of them, and not the host's. */
export function isOwnPlugin(path: string): boolean {
  return dirname(path) === ownPluginsDir;
}
