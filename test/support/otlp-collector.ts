import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A span as it came, with its attributes as a record. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: Readonly<Record<string, string>>;
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string };
}

interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<ReceivedSpan, "attributes"> & { attributes: readonly Attribute[] })[];
    }[];
  }[];
}

export interface OtlpCollector extends AsyncDisposable {
  readonly endpoint: string;
  readonly spans: readonly ReceivedSpan[];
  /** What the last request told its spans to be of. */
  readonly resource: Readonly<Record<string, string>>;
  readonly requests: number;
  answerWith(status: number): void;
}

/** A collector of OpenTelemetry's as far as OTLP/HTTP in JSON goes: reads what it gets, and answers as told. */
export async function startOtlpCollector(): Promise<OtlpCollector> {
  const spans: ReceivedSpan[] = [];
  let resource: Readonly<Record<string, string>> = {};
  let requests = 0;
  let status = 200;
  const server = createServer((request, response) => {
    requests += 1;
    const isExport =
      request.method === "POST" &&
      request.url === "/v1/traces" &&
      request.headers["content-type"] === "application/json";
    void text(request).then((body) => {
      response.writeHead(isExport ? status : 404, { "content-type": "application/json" }).end("{}");
      if (isExport && status === 200) take(JSON.parse(body) as TraceRequest);
    });
  });

  function take({ resourceSpans }: TraceRequest): void {
    for (const group of resourceSpans) {
      resource = recordOf(group.resource.attributes);
      for (const scope of group.scopeSpans) {
        for (const span of scope.spans) spans.push({ ...span, attributes: recordOf(span.attributes) });
      }
    }
  }

  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    get resource() {
      return resource;
    },
    get requests() {
      return requests;
    },
    answerWith(next) {
      status = next;
    },
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

function recordOf(attributes: readonly Attribute[]): Readonly<Record<string, string>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));
}
