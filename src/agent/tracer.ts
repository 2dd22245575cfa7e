import { randomBytes } from "node:crypto";
import type { Clock } from "../domain/clock.ts";
import type { Work, WorkFailure } from "../domain/telemetry.ts";
import { readTraceparent } from "./traceparent.ts";

/** A span that has begun, as far as what happens within it needs to know it. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
  /** A moment by the wall clock and by the steady one: the trace's times are all told from it. */
  readonly anchor: { readonly wallMs: number; readonly steadyMs: number };
  ended: boolean;
  end(failure?: WorkFailure): void;
}

/** A span that has ended, in OpenTelemetry's words. */
export interface FinishedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  readonly kind: "internal" | "server";
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, string>>;
  readonly failure?: WorkFailure | undefined;
}

export interface Tracer {
  /** Within `parent`, or beginning a trace; undefined for work that has no span. */
  start(work: Work, parent: Span | undefined, requestId: string | undefined): Span | undefined;
}

export function createTracer(options: {
  readonly clock: Clock;
  readonly onSpan: (span: FinishedSpan) => void;
}): Tracer {
  const { clock, onSpan } = options;

  return {
    start(work, given, requestId) {
      const description = describe(work);
      if (!description) return undefined;
      // What is tried again after its request has ended is no part of that request's trace.
      const parent = given?.ended ? undefined : given;
      const remote = work.kind === "call" ? readTraceparent(work.traceparent) : undefined;
      const { traceId, sampled } = parent ?? remote ?? { traceId: newId(16), sampled: true };
      const spanId = newId(8);
      const anchor = parent?.anchor ?? { wallMs: clock.now().getTime(), steadyMs: clock.steadyMs() };
      const nowNs = (): bigint =>
        BigInt(Math.round((anchor.wallMs + clock.steadyMs() - anchor.steadyMs) * 1e6));
      const startNs = nowNs();
      const span: Span = {
        traceId,
        spanId,
        sampled,
        anchor,
        ended: false,
        end(failure) {
          span.ended = true;
          if (!sampled) return;
          const attributes = {
            ...description.attributes,
            ...(requestId !== undefined && { "podplug.request_id": requestId }),
            ...(failure && { "error.type": failure.reason }),
          };
          const parentSpanId = (parent ?? remote)?.spanId;
          onSpan({
            ...description,
            traceId,
            spanId,
            parentSpanId,
            startNs,
            endNs: nowNs(),
            attributes,
            failure,
          });
        },
      };
      return span;
    },
  };
}

function newId(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}

type Description = Pick<FinishedSpan, "name" | "kind" | "attributes">;

/** Names are few; what varies stands in the attributes. */
function describe(work: Work): Description | undefined {
  switch (work.kind) {
    case "call": {
      const kind = work.transport === "process" ? "internal" : "server";
      const attributes = { "rpc.method": work.method, "podplug.transport": work.transport };
      return { name: work.method, kind, attributes };
    }
    case "change":
    case "chain": {
      const attributes = {
        "podplug.network": work.network,
        "podplug.network_type": work.networkType,
        ...(work.sandboxId !== undefined && { "podplug.sandbox": work.sandboxId }),
        ...(work.ifName !== undefined && { "podplug.interface": work.ifName }),
      };
      return {
        name: work.kind === "chain" ? `chain ${work.verb}` : work.verb,
        kind: "internal",
        attributes,
      };
    }
    case "plugin": {
      const attributes = { "podplug.plugin": work.type, "podplug.verb": work.verb };
      return { name: `plugin ${work.verb}`, kind: "internal", attributes };
    }
    case "item":
      return undefined;
  }
}
