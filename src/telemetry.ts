import type { Tracer } from "./agent/tracer.ts";
import type { Telemetry, Work } from "./domain/telemetry.ts";
import type { Metrics } from "./metrics.ts";
import { currentScope, inScope, type RequestScope } from "./request-scope.ts";

/** Tells what the rooms tell to metrics and traces, and keeps each request's ID and span with its work. */
export function createTelemetry({
  metrics,
  tracer,
}: {
  readonly metrics: Metrics;
  readonly tracer?: Tracer | undefined;
}): Telemetry {
  /** The scope of a piece of work; its outer one's where it adds nothing. */
  function scopeOf(work: Work): RequestScope | undefined {
    const outer = currentScope();
    const requestId = work.kind === "call" ? work.requestId : outer?.requestId;
    const span = tracer?.start(work, outer?.span, requestId);
    return span || work.kind === "call" ? { requestId, span } : outer;
  }

  return {
    begin(work) {
      const startedAt = performance.now();
      const scope = scopeOf(work);
      // Work without a span of its own is within another's, which it must not end.
      const span = scope === currentScope() ? undefined : scope?.span;
      let over = false;
      metrics.began(work);
      return {
        run: (inner) => (scope ? inScope(scope, inner) : inner()),
        end(failure) {
          if (over) return;
          over = true;
          metrics.ended(work, (performance.now() - startedAt) / 1000, failure);
          span?.end(failure);
        },
      };
    },
    count: (happening) => metrics.count(happening),
    watch: (source) => metrics.watch(source),
  };
}
