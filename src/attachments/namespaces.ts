import { PodplugError } from "../domain/errors.ts";
import type { InterfaceReader } from "../interfaces/contract.ts";
import { isSameNetns } from "../interfaces/contract.ts";
import type { Sandbox, SandboxLocator } from "../sandbox/contract.ts";

/** The namespaces of sandboxes, told apart by identity: paths and PIDs are recycled. */
export interface Namespaces {
  /** Where the sandbox's own namespace can be entered now; undefined when it is gone. */
  livePath(sandbox: Sandbox, signal: AbortSignal): Promise<string | undefined>;
}

export function createNamespaces(interfaces: InterfaceReader, sandboxes: SandboxLocator): Namespaces {
  async function leadsHome(sandbox: Sandbox, signal: AbortSignal): Promise<boolean> {
    try {
      return isSameNetns(await interfaces.identify(sandbox.netnsPath, signal), sandbox.netns);
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  return {
    async livePath(sandbox, signal) {
      if (await leadsHome(sandbox, signal)) return sandbox.netnsPath;
      // The namespace of a process that ended may live on under a name.
      const elsewhere = (await sandboxes.list(signal)).find((each) => each.id === sandbox.id);
      return elsewhere && isSameNetns(elsewhere.netns, sandbox.netns) ? elsewhere.netnsPath : undefined;
    },
  };
}

/** Whether a look into a namespace failed because there is none behind the path any more. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof PodplugError &&
    (error.reason === "TARGET_NOT_FOUND" ||
      error.reason === "TARGET_INVALID" ||
      error.reason === "SANDBOX_NOT_READY")
  );
}
