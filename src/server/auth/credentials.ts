import { isReservedOwner } from "../../domain/attachment.ts";
import { asPodplugError, PodplugError } from "../../domain/errors.ts";
import type { Authenticator, Credential } from "./contract.ts";

/** Names of callers that come by other ways: who bore one would have their attachments. */
const ownNames: ReadonlySet<string> = new Set(["unix-socket", "anonymous", "controller"]);

/**
 * Asks each kind of credential in turn, as a kubelet does; the first that says
 * who it is counts. When none does, the first refusal tells why, unless it
 * couldn't be found out.
 */
export function createAuthenticator(credentials: readonly Credential[]): Authenticator {
  return async (request, signal) => {
    let refusal: PodplugError | undefined;
    for (const credential of credentials) {
      try {
        const identity = await credential(request, signal);
        if (!identity) continue;
        if (ownNames.has(identity.name) || isReservedOwner(identity.name)) {
          throw new PodplugError("UNAUTHENTICATED", `the name ${identity.name} is one of podplug's own`);
        }
        return identity;
      } catch (thrown) {
        const error = asPodplugError(thrown);
        if (!refusal || error.transient) refusal = error;
      }
    }
    throw refusal ?? new PodplugError("UNAUTHENTICATED", "the request shows no credentials");
  };
}
