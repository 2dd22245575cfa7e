import { join } from "node:path";

/** Where podplug's own CNI plugins are, beside src/ as beside dist/. */
export const ownPluginsDir = join(import.meta.dirname, "../plugins");
