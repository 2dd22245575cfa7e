import { AsyncLocalStorage } from "node:async_hooks";
import type { Span } from "./agent/tracer.ts";

/**
 * The request that is worked on, wherever its work has got to: known to the
 * log, the plugins and the traces without a parameter in every signature.
 */
export interface RequestScope {
  readonly requestId?: string | undefined;
  /** The innermost that has begun. */
  readonly span?: Span | undefined;
}

const storage = new AsyncLocalStorage<RequestScope>();

export function currentScope(): RequestScope | undefined {
  return storage.getStore();
}

export function inScope<T>(scope: RequestScope, run: () => T): T {
  return storage.run(scope, run);
}
