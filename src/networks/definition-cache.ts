import type { Clock } from "../domain/clock.ts";
import { asPodplugError, type PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { neverAborted, unlessAborted } from "../domain/signals.ts";

export interface DefinitionCacheOptions<T> {
  /** `undefined` when there is none. Bounds its time itself: it is asked for all that wait at once. */
  readonly read: (namespace: string, name: string, signal: AbortSignal) => Promise<T | undefined>;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long what was read is used without asking again. */
  readonly maxAgeMs: number;
  /** As `maxAgeMs`, for what wasn't there. */
  readonly absentMaxAgeMs: number;
  /** How long what was read is still used when it can't be asked for again (UNREACHABLE). */
  readonly staleMaxAgeMs: number;
  readonly maxEntries?: number;
}

export interface DefinitionCache<T> {
  get(namespace: string, name: string, signal: AbortSignal): Promise<T | undefined>;
}

interface Entry<T> {
  readonly value: T | undefined;
  readonly readAt: number;
}

/**
 * What was read from the API server, for a while: read only when somebody
 * asks, and once for all who ask at the same time. The node's pods use few
 * networks, so that a node asks seldom, and a cluster's nodes watch nothing.
 */
export function createDefinitionCache<T>({
  read,
  clock,
  log,
  maxAgeMs,
  absentMaxAgeMs,
  staleMaxAgeMs,
  maxEntries = 1_000,
}: DefinitionCacheOptions<T>): DefinitionCache<T> {
  const entries = new Map<string, Entry<T>>();
  const underWay = new Map<string, Promise<T | undefined>>();

  function remember(key: string, value: T | undefined): void {
    entries.delete(key);
    entries.set(key, { value, readAt: clock.now().getTime() });
    const [oldest] = entries.keys();
    if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest);
  }

  async function refresh(key: string, namespace: string, name: string): Promise<T | undefined> {
    try {
      // Not with one caller's signal: others may have joined.
      const value = await read(namespace, name, neverAborted);
      remember(key, value);
      return value;
    } catch (thrown) {
      const error = asPodplugError(thrown);
      const entry = entries.get(key);
      if (error.reason !== "UNREACHABLE" || entry?.value === undefined || isOlder(entry, staleMaxAgeMs)) {
        throw error;
      }
      tellStale(key, entry, error);
      return entry.value;
    } finally {
      underWay.delete(key);
    }
  }

  function isOlder({ readAt }: Entry<T>, ageMs: number): boolean {
    const age = clock.now().getTime() - readAt;
    // A clock that was set back says nothing about age.
    return age > ageMs || age < 0;
  }

  function tellStale(network: string, { readAt }: Entry<T>, err: PodplugError): void {
    const ageMs = clock.now().getTime() - readAt;
    log.warn({ network, ageMs, err }, "network definition is used as it was read before");
  }

  return {
    async get(namespace, name, signal) {
      const key = `${namespace}/${name}`;
      const entry = entries.get(key);
      if (entry && !isOlder(entry, entry.value === undefined ? absentMaxAgeMs : maxAgeMs)) return entry.value;
      let reading = underWay.get(key);
      if (!reading) {
        reading = refresh(key, namespace, name);
        underWay.set(key, reading);
      }
      return await unlessAborted(reading, signal, `looking for network ${key}`);
    },
  };
}
