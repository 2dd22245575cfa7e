import { inScope } from "../request-scope.ts";
import { createOtlpExporter, type OtlpExporterOptions } from "./otlp-exporter.ts";
import { createTracer, type Tracer } from "./tracer.ts";

/** Traces to an OTLP endpoint. Loaded only when one is configured. */
export function createTraces(options: OtlpExporterOptions): Tracer & AsyncDisposable {
  const exporter = createOtlpExporter(options);
  const tracer = createTracer({
    clock: options.clock,
    // Sending, and what is logged of it, is no part of the request that happened to begin it.
    onSpan: (span) => inScope({}, () => exporter.push(span)),
  });
  return { ...tracer, [Symbol.asyncDispose]: () => exporter[Symbol.asyncDispose]() };
}
