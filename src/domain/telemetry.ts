import type { AttachmentState } from "./attachment.ts";
import { failureOf } from "./errors.ts";

/**
 * What the rooms tell of their work, for metrics, traces and the log. Handed
 * in, as the logger is, so that a room can be used without it.
 */
export interface Telemetry {
  begin(work: Work): Running;
  count(happening: Happening): void;
  /** Read whenever somebody looks, from now on. */
  watch(source: Source): void;
}

/** A piece of work whose time and end are told. What happens within it belongs to it. */
export type Work =
  /** One call of the API. */
  | {
      readonly kind: "call";
      readonly method: string;
      readonly transport: "unix" | "tcp" | "tls" | "process";
      readonly requestId: string;
      /** W3C Trace Context, as the caller sent it. */
      readonly traceparent?: string | undefined;
    }
  /** One attachment made or removed, with its records and all that undoes a failure. */
  | ({ readonly kind: "change"; readonly verb: "attach" | "detach" | "undo" } & NetworkFacts)
  /** One network's plugins, one after the other. */
  | ({ readonly kind: "chain"; readonly verb: PluginVerb } & NetworkFacts)
  | { readonly kind: "plugin"; readonly type: string; readonly verb: PluginVerb }
  /** One key of a queue. */
  | { readonly kind: "item"; readonly queue: QueueName };

export type PluginVerb = "ADD" | "DEL" | "CHECK" | "GC" | "STATUS" | "VERSION";

interface NetworkFacts {
  readonly network: string;
  /** The type of the network's first plugin. */
  readonly networkType: string;
  /** Absent for what isn't about one attachment. */
  readonly sandboxId?: string | undefined;
  readonly ifName?: string | undefined;
}

export interface Running {
  run<T>(inner: () => T): T;
  /** Once; what comes later changes nothing. */
  end(failure?: WorkFailure): void;
}

export interface WorkFailure {
  /** A word of the table of errors. */
  readonly reason: string;
  readonly message: string;
  /** Of a call: Connect's word, where it isn't the reason's own. */
  readonly code?: string | undefined;
}

/** `reconcile` and `publish` are the controller's, `cleanup` is what the engine tries again until it is gone. */
export type QueueName = "reconcile" | "publish" | "cleanup";

export type Happening =
  | { readonly kind: "retry"; readonly queue: QueueName }
  | {
      readonly kind: "watch-restart";
      readonly resource: "pods" | "attachments";
      readonly cause: "ended" | "expired" | "failed";
    };

export type Source =
  | { readonly kind: "queue"; readonly name: QueueName; readonly read: () => QueueReading }
  | { readonly kind: "records"; readonly read: () => ReadonlyMap<AttachmentState, number> };

export interface QueueReading {
  /** Keys that could be worked on now. */
  readonly depth: number;
  /** Keys that failed and wait to be tried again. */
  readonly retrying: number;
  /** How long ago the oldest key came that isn't done: it waits, runs, or is to be tried again. */
  readonly oldestAgeMs: number;
}

/** Runs one piece of work and tells how it ended. */
export async function observe<T>(telemetry: Telemetry, work: Work, run: () => Promise<T>): Promise<T> {
  const running = telemetry.begin(work);
  try {
    const result = await running.run(run);
    running.end();
    return result;
  } catch (thrown) {
    running.end(failureOf(thrown));
    throw thrown;
  }
}

export const silentTelemetry: Telemetry = {
  begin: () => ({ run: (inner) => inner(), end() {} }),
  count() {},
  watch() {},
};
