import type { Clock } from "../domain/clock.ts";
import { pause } from "../domain/clock.ts";
import { asPodplugError, PodplugError } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/log.ts";
import type { ApiClient } from "./api-client.ts";
import { messageIn } from "./api-errors.ts";
import { backoffMs } from "./backoff.ts";
import { resourceVersionOf } from "./metadata.ts";

export interface ListWatchOptions {
  readonly client: ApiClient;
  /** Of the collection: `/api/v1/pods`. */
  readonly path: string;
  readonly fieldSelector: string;
  /** For messages: `this node's pods`. */
  readonly what: string;
  readonly onList: (objects: readonly unknown[]) => void;
  readonly onObject: (object: unknown) => void;
  readonly onGone: (object: unknown) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Told each time that the collection is watched again. */
  readonly onRestart?: ((cause: "ended" | "expired" | "failed") => void) | undefined;
}

/**
 * Where the list and the watch ask for metadata alone, what they transfer and
 * what is held shrinks by half.
 */
const acceptList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";
const acceptOne = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";

/** A watch that the server ended in order, but sooner than this, isn't opened again at once. */
const shortWatchMs = 1_000;
/** A watch that held as long was a good one, even if nothing happened on the node. */
const longWatchMs = 60_000;
/** However well the watch goes: a cluster restored from a backup has gone back in time, which no watch tells. */
const relistMs = 30 * 60_000;

/**
 * Lists a collection and then follows its changes, until the signal aborts.
 * Never gives up: what fails is tried again with backoff, from the last
 * version seen; from a new list when that is too old (410) or when the
 * server's words can't be read.
 */
export async function listAndWatch(options: ListWatchOptions, signal: AbortSignal): Promise<void> {
  const { clock, what, random } = options;
  const trouble = createTroubleLog(options.log, what);
  let version: string | undefined;
  let listedAt = 0;
  let failures = 0;

  while (!signal.aborted) {
    const startedAt = clock.steadyMs();
    let progress = false;
    let failure: PodplugError | undefined;
    let ending: "ended" | "expired" = "ended";
    try {
      if (version === undefined || startedAt - listedAt > relistMs) {
        const notOlderThan = version;
        // Should this fail, the next list is of whatever the API server has now.
        version = undefined;
        version = await list(options, notOlderThan, signal);
        listedAt = startedAt;
        trouble.over();
      }
      const onProgress = (seen: string): void => {
        version = seen;
        progress = true;
        trouble.over();
      };
      ending = await watch(options, version, onProgress, signal);
      if (ending === "expired") version = undefined;
    } catch (thrown) {
      failure = asPodplugError(thrown);
      if (failure.reason !== "UNREACHABLE" && failure.reason !== "PRIVILEGE_MISSING") version = undefined;
    }
    if (signal.aborted) return;
    options.onRestart?.(failure ? "failed" : ending);
    const lastedMs = clock.steadyMs() - startedAt;
    if (!failure && lastedMs >= shortWatchMs) failures = 0;
    else failures = progress || lastedMs >= longWatchMs ? 1 : failures + 1;
    if (failure) trouble.tell(failure, failures);
    if (failures > 0) await pause(clock, backoffMs(failures, random, failure?.retryAfterMs), signal);
  }
}

/** One warning for a time of trouble, one line when it is over; a dropped connection alone is none. */
function createTroubleLog(log: Logger, what: string) {
  let told = false;
  return {
    tell(failure: PodplugError, failures: number): void {
      const facts = { reason: failure.reason, err: failure, failures };
      if (!told && (failures > 1 || failure.reason !== "UNREACHABLE")) {
        told = true;
        log.warn({ ...facts, what }, "can't follow the API server; trying again");
      } else {
        log.debug({ ...facts, what }, "following the API server was interrupted");
      }
    },
    over(): void {
      if (told) log.info({ what }, "following the API server again");
      told = false;
    },
  };
}

/**
 * Not from an API server's memory that may lag behind (resourceVersion 0): an
 * annotation gone back in time would unplug what was just plugged. Not in
 * pages: those are read from etcd, through all the pods of the cluster.
 */
async function list(
  options: ListWatchOptions,
  notOlderThan: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const { client, path, fieldSelector, what, onList } = options;
  const doing = `listing ${what}`;
  const query = new URLSearchParams({ fieldSelector });
  if (notOlderThan !== undefined) {
    query.set("resourceVersion", notOlderThan);
    query.set("resourceVersionMatch", "NotOlderThan");
  }
  const { body } = await client.call(
    { path: `${path}?${query.toString()}`, accept: acceptList, doing },
    signal,
  );
  const items = isJsonObject(body) ? body["items"] : undefined;
  // An empty list of Go's may be null.
  if (items !== null && !Array.isArray(items)) throw unreadable(doing, "it is no list");
  const version = resourceVersionOf(body);
  onList((items ?? []) as unknown[]);
  return version;
}

async function watch(
  options: ListWatchOptions,
  version: string,
  onProgress: (version: string) => void,
  signal: AbortSignal,
): Promise<"ended" | "expired"> {
  const { client, path, fieldSelector, what, onObject, onGone, random } = options;
  const doing = `watching ${what}`;
  const query = new URLSearchParams({
    fieldSelector,
    watch: "true",
    resourceVersion: version,
    allowWatchBookmarks: "true",
    // Spread, so that the nodes of a cluster don't all come back at the same time.
    timeoutSeconds: `${Math.round(300 + random() * 300)}`,
  });
  let expired = false;
  const onLine = (line: string): void => {
    const { type, object } = eventIn(line, doing);
    if (type === "ERROR") {
      if (isJsonObject(object) && object["code"] === 410) {
        expired = true;
        return;
      }
      throw new PodplugError("UNREACHABLE", `${doing}: ${messageIn(object)}`);
    }
    const seen = resourceVersionOf(object);
    if (type === "ADDED" || type === "MODIFIED") onObject(object);
    else if (type === "DELETED") onGone(object);
    onProgress(seen);
  };
  const call = { path: `${path}?${query.toString()}`, accept: acceptOne, doing, expected: [410] };
  const status = await client.follow(call, onLine, signal);
  return expired || status === 410 ? "expired" : "ended";
}

function eventIn(line: string, doing: string): { readonly type: unknown; readonly object: unknown } {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    throw unreadable(doing, `a line isn't JSON: ${line.slice(0, 100)}`);
  }
  if (!isJsonObject(event)) throw unreadable(doing, "a line isn't an event");
  return { type: event["type"], object: event["object"] };
}

/** Not UNREACHABLE: what came can't be trusted to go on from, so that a new list is due. */
function unreadable(doing: string, why: string): PodplugError {
  return new PodplugError("INTERNAL", `${doing}: the API server's answer can't be read: ${why}`);
}
