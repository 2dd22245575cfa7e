import type { JsonObject } from "../domain/json.ts";
import type { FinishedSpan } from "./tracer.ts";

/** `SpanKind` and `Status.StatusCode` of opentelemetry-proto's trace.proto; JSON has them as numbers. */
const kinds = { internal: 1, server: 2 } as const;
const statusError = 2;

/** An ExportTraceServiceRequest in OTLP's JSON form: IDs in hex, 64-bit numbers as strings. */
export function otlpRequest(
  spans: readonly FinishedSpan[],
  resource: Readonly<Record<string, string>>,
): JsonObject {
  const scopeSpans = [{ scope: { name: "podplug" }, spans: spans.map(spanMessage) }];
  return { resourceSpans: [{ resource: { attributes: attributesOf(resource) }, scopeSpans }] };
}

function spanMessage(span: FinishedSpan): JsonObject {
  const { traceId, spanId, parentSpanId, name, kind, startNs, endNs, attributes, failure } = span;
  return {
    traceId,
    spanId,
    ...(parentSpanId !== undefined && { parentSpanId }),
    name,
    kind: kinds[kind],
    startTimeUnixNano: `${startNs}`,
    endTimeUnixNano: `${endNs}`,
    attributes: attributesOf(attributes),
    status: failure ? { code: statusError, message: failure.message } : {},
  };
}

function attributesOf(values: Readonly<Record<string, string>>): JsonObject[] {
  return Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
}
