/** Where a caller's own span is (W3C Trace Context, section 3.2). */
export interface RemoteParent {
  readonly traceId: string;
  readonly spanId: string;
  /** Whether the caller records its part of the trace. */
  readonly sampled: boolean;
}

// Versions to come may append fields; version ff is none.
const form =
  /^(?<version>(?!ff)[0-9a-f]{2})-(?<traceId>(?!0{32})[0-9a-f]{32})-(?<spanId>(?!0{16})[0-9a-f]{16})-(?<flags>[0-9a-f]{2})(?<more>-.*)?$/;

/** Undefined for what isn't of the form: the trace begins anew then. */
export function readTraceparent(header: string | undefined): RemoteParent | undefined {
  const groups = form.exec(header ?? "")?.groups;
  if (!groups || (groups["version"] === "00" && groups["more"] !== undefined)) return undefined;
  const { traceId = "", spanId = "", flags = "" } = groups;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
