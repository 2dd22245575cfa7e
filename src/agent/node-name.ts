import { hostname } from "node:os";
import type { Config } from "../config.ts";

/** This node as the cluster calls it. */
export function nodeNameOf(config: Config, env: Readonly<Record<string, string | undefined>>): string {
  return config.nodeName || env["NODE_NAME"] || hostname();
}
