import { createHash, timingSafeEqual } from "node:crypto";
import { PodplugError } from "../../domain/errors.ts";
import { controllerKeyHeader } from "../../wire/controller-key.ts";
import type { Authenticator } from "./contract.ts";

/**
 * Whoever can open the Unix socket may use it: the file's mode and group are
 * the check. The owners' names of podplug's reconcilers are for those alone
 * that show the controller's key; without a key given here nobody can.
 */
export function createSocketAuthenticator(controllerKey: string | undefined): Authenticator {
  return async ({ headers }) => {
    const shown = headers.get(controllerKeyHeader);
    if (shown === null)
      return { name: "unix-socket", reconciler: false, root: true, by: "socket", ...nobodyElse };
    if (controllerKey === undefined) {
      throw new PodplugError("UNAUTHENTICATED", "the agent runs its controller itself and takes no other");
    }
    if (!isSame(shown, controllerKey)) {
      throw new PodplugError("UNAUTHENTICATED", "the controller's key isn't this server's");
    }
    return { name: "controller", reconciler: true, by: "controller-key", ...nobodyElse };
  };
}

const nobodyElse = { groups: [], extra: {} } as const;

/** In a time that tells nothing of how much was right. */
function isSame(shown: string, key: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(shown), digest(key));
}
