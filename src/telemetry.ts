import type { Telemetry } from "./domain/telemetry.ts";
import type { Metrics } from "./metrics.ts";
import { currentScope, inScope } from "./request-scope.ts";

/** Tells what the rooms tell to the metrics, and keeps each request's ID with its work. */
export function createTelemetry({ metrics }: { readonly metrics: Metrics }): Telemetry {
  return {
    begin(work) {
      const startedAt = performance.now();
      const scope = work.kind === "call" ? { requestId: work.requestId } : currentScope();
      let over = false;
      metrics.began(work);
      return {
        run: (inner) => (scope ? inScope(scope, inner) : inner()),
        end(failure) {
          if (over) return;
          over = true;
          metrics.ended(work, (performance.now() - startedAt) / 1000, failure);
        },
      };
    },
    count: (happening) => metrics.count(happening),
    watch: (source) => metrics.watch(source),
  };
}
