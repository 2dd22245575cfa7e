import type { ExecPlugin } from "../cni/exec-plugin.ts";
import { currentScope } from "../request-scope.ts";

/** Gives each plugin the ID of the request that it works for, for what it logs itself. */
export function tellRequestId(exec: ExecPlugin): ExecPlugin {
  return (run, signal) => {
    const id = currentScope()?.requestId;
    if (id === undefined) return exec(run, signal);
    return exec({ ...run, env: { ...run.env, PODPLUG_REQUEST_ID: id } }, signal);
  };
}
