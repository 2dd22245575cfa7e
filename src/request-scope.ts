import { AsyncLocalStorage } from "node:async_hooks";

/**
 * The request that is worked on, wherever its work has got to: known to the
 * log, the plugins and the traces without a parameter in every signature.
 */
export interface RequestScope {
  readonly requestId?: string | undefined;
}

const storage = new AsyncLocalStorage<RequestScope>();

export function currentScope(): RequestScope | undefined {
  return storage.getStore();
}

export function inScope<T>(scope: RequestScope, run: () => T): T {
  return storage.run(scope, run);
}
