import type { Clock } from "../domain/clock.ts";
import { messageOf } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { otlpRequest } from "./otlp-message.ts";
import type { FinishedSpan } from "./tracer.ts";

/*
 * OTLP/HTTP in its JSON form. OpenTelemetry's own SDK and exporter are twelve
 * packages for what these lines do with the few kinds of spans that there are,
 * and they keep their context in global state beside the request's own.
 */

export interface OtlpExporterOptions {
  /** As OTEL_EXPORTER_OTLP_ENDPOINT has it: `/v1/traces` comes after it. */
  readonly endpoint: string;
  /** What the spans are told to be of: `service.name` and so on. */
  readonly resource: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface OtlpExporter extends AsyncDisposable {
  /** Never waits and never fails: what can't be sent in time is dropped, and counted in the log. */
  push(span: FinishedSpan): void;
}

const sendEveryMs = 5_000;
const longestPauseMs = 60_000;
const timeoutMs = 10_000;
/** At the end nobody waits long for a collector. */
const farewellMs = 2_000;
const batchSize = 512;
const maxWaiting = 4_096;

/** After these the same batch may yet be taken (OTLP specification, "Retryable Response Codes"). */
const retryable = [429, 502, 503, 504];

interface Fault {
  readonly error: Error;
  readonly retry: boolean;
}

export function createOtlpExporter({ endpoint, resource, clock, log }: OtlpExporterOptions): OtlpExporter {
  const url = `${endpoint.replace(/\/+$/, "")}/v1/traces`;
  const waiting: FinishedSpan[] = [];
  let dropped = 0;
  let failures = 0;
  let timer: Disposable | undefined;
  let sending: Promise<void> = Promise.resolve();

  function schedule(): void {
    timer ??= clock.setTimer(Math.min(sendEveryMs * 2 ** failures, longestPauseMs), () => {
      sending = send(AbortSignal.timeout(timeoutMs)).finally(() => {
        timer = undefined;
        if (waiting.length > 0) schedule();
      });
    });
  }

  async function send(signal: AbortSignal): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, batchSize);
      const fault = await post(batch, signal);
      if (fault?.retry) {
        if (failures === 0) log.warn({ url, err: fault.error }, "traces can't be sent; it is tried again");
        failures += 1;
        return;
      }
      waiting.splice(0, batch.length);
      if (fault) log.warn({ url, spans: batch.length, err: fault.error }, "the collector refused traces");
      else if (failures > 0 || dropped > 0) log.info({ url, dropped }, "traces are sent again");
      failures = 0;
      dropped = 0;
    }
  }

  async function post(batch: readonly FinishedSpan[], signal: AbortSignal): Promise<Fault | undefined> {
    try {
      const body = JSON.stringify(otlpRequest(batch, resource));
      const headers = { "content-type": "application/json" };
      const response = await fetch(url, { method: "POST", headers, body, redirect: "error", signal });
      await response.body?.cancel();
      if (response.ok) return undefined;
      const error = new Error(`it answered ${response.status}`);
      return { error, retry: retryable.includes(response.status) };
    } catch (error) {
      return { error: error instanceof Error ? error : new Error(messageOf(error)), retry: true };
    }
  }

  return {
    push(span) {
      if (waiting.length >= maxWaiting) {
        dropped += 1;
        return;
      }
      waiting.push(span);
      schedule();
    },
    async [Symbol.asyncDispose]() {
      timer?.[Symbol.dispose]();
      await sending;
      timer?.[Symbol.dispose]();
      await send(AbortSignal.timeout(farewellMs));
    },
  };
}
