import type { Config } from "../config.ts";
import { systemClock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Reviewer } from "../kube/contract.ts";
import { createTokenCredential } from "../server/auth/bearer-token.ts";
import type { Authorizer, Credential } from "../server/auth/contract.ts";
import { createStaticAuthorizer } from "../server/auth/static-rules.ts";
import { createReviewAuthorizer } from "../server/auth/subject-access-review.ts";
import type { ServerOptions } from "../server/server.ts";
import { lockFile } from "../state-lock.ts";
import { usesTls } from "./api-config.ts";
import { readHostPort } from "./host-port.ts";

/** Whether the API server is asked about callers. */
export function needsReviews({ api }: Config): boolean {
  return usesTls(api) && (api.auth.tokenReview || api.auth.authorization === "subjectAccessReview");
}

/** Where the API is served, and for the TLS port who is let in and to do what. `reviewer` is there when it is needed. */
export function listenAddresses({ api }: Config, reviewer: Reviewer | undefined): ServerOptions["listen"] {
  const { socket, socketMode, socketGroup, listen, tls, insecure } = api;
  const { host, port } = readHostPort(listen);
  const { certFile, keyFile, clientCAFile } = tls;
  return {
    socket: socket
      ? {
          path: socket,
          mode: Number.parseInt(socketMode, 8),
          group: socketGroup || undefined,
          lock: lockFile,
        }
      : undefined,
    tcp: listen && !usesTls(api) ? { host, port, insecure } : undefined,
    tls: usesTls(api)
      ? {
          host,
          port,
          files: { certFile, keyFile, clientCAFile: clientCAFile || undefined },
          ...judgesOf(api.auth, reviewer),
        }
      : undefined,
  };
}

function judgesOf(
  { tokenReview, audiences, authorization, rules }: Config["api"]["auth"],
  reviewer: Reviewer | undefined,
): { readonly credentials: readonly Credential[]; readonly authorizer: Authorizer } {
  const clock = systemClock;
  const asked = (): Reviewer => {
    if (!reviewer) throw new PodplugError("INTERNAL", "callers need the API server's review");
    return reviewer;
  };
  return {
    credentials: tokenReview ? [createTokenCredential({ reviewer: asked(), audiences, clock })] : [],
    authorizer:
      authorization === "static"
        ? createStaticAuthorizer(rules)
        : createReviewAuthorizer({ reviewer: asked(), clock }),
  };
}
