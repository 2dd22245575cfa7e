import { type BigIntStats, readdirSync, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join, parse } from "node:path";
import { readNetworkFile } from "../cni/network-files.ts";
import { type NetworkList, printNetworkList } from "../cni/network-list.ts";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import { abortError } from "../domain/signals.ts";

const maxFileBytes = 1024 * 1024;

/**
 * How long a file must have been left alone for its stamp to be trusted: a
 * second write within the clock's tick, of the same size, doesn't show in it.
 */
const settledAfterMs = 2_000n;

/** What a network's file held when it was last read. */
export interface NetworkFile {
  readonly path: string;
  /** Differs when the file was written, replaced or led elsewhere. */
  readonly stamp: string;
  /** Whether the stamp and the siblings' tell every change since this was read. */
  readonly settled: boolean;
  /** As `stamp`, of the directory of plugins beside it. */
  readonly siblings: string;
  /** The configuration list, JSON text; absent when there is a fault. */
  readonly config?: string | undefined;
  /** The network's; of a file without a readable one, its own name without the extension. */
  readonly name: string;
  readonly fault?: PodplugError | undefined;
}

/**
 * What tells one state of a file from another: `undefined` when there is none,
 * or a directory, as the siblings of a list lie in one. Synchronous: to look at
 * a local file takes a hundredth of the time that handing it to a thread does.
 */
export function stampOf(path: string): string | undefined {
  let found: BigIntStats;
  try {
    found = statSync(path, { bigint: true });
  } catch (error) {
    const code = systemCodeOf(error);
    // It is there, and what it holds can't be had: reading it says why.
    return code === "ENOENT" ? undefined : `unreadable: ${code}`;
  }
  if (found.isDirectory()) return undefined;
  return [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(":");
}

/** Whether what is known of a file is what it holds now. */
export function isCurrent(known: NetworkFile, stamp: string): boolean {
  return known.settled && known.stamp === stamp && known.siblings === siblingsStamp(known.path, known.name);
}

/** Of every file beside a list that its plugins may come from (`<directory>/<network name>/`). */
function siblingsStamp(path: string, name: string): string {
  const directory = join(dirname(path), name);
  try {
    return readdirSync(directory)
      .map((entry) => `${entry} ${stampOf(join(directory, entry))}`)
      .join("\n");
  } catch (error) {
    return systemCodeOf(error) ?? messageOf(error);
  }
}

export async function examine(
  path: string,
  stamp: string,
  now: Date,
  signal: AbortSignal,
): Promise<NetworkFile> {
  let read: Pick<NetworkFile, "name" | "config" | "fault">;
  try {
    const list = await readBounded(path, signal);
    read = { name: list.name, config: printNetworkList(list) };
  } catch (error) {
    if (!(error instanceof PodplugError) || signal.aborted) throw error;
    // No fault of the file's, which would be kept until it changes.
    if (error.reason === "RESOURCE_EXHAUSTED") throw error;
    read = { name: await nameInside(path), fault: error };
  }
  const siblings = siblingsStamp(path, read.name);
  // What the system said of it may pass without a change of the file.
  const isKnown = systemCodeOf(read.fault?.cause) === undefined;
  return { path, stamp, siblings, settled: isKnown && isSettled(`${stamp}\n${siblings}`, now), ...read };
}

/** The last number of each stamp is when the file changed. */
function isSettled(stamps: string, now: Date): boolean {
  const changes = stamps.match(/(?<=:)\d+$/gm) ?? [];
  return changes.every(
    (changedNs) => BigInt(now.getTime()) - BigInt(changedNs) / 1_000_000n > settledAfterMs,
  );
}

/** INVALID_NETWORK or VERSION_UNSUPPORTED, naming the file; RESOURCE_EXHAUSTED. */
async function readBounded(path: string, signal: AbortSignal): Promise<NetworkList> {
  const fault = await faultOfFile(path);
  if (fault !== undefined) throw new PodplugError("INVALID_NETWORK", `${path} ${fault}`);
  try {
    return await readNetworkFile(path, signal);
  } catch (error) {
    throw signal.aborted ? abortError(signal, `reading ${path}`) : error;
  }
}

/** Asked before anything is opened: a FIFO would block, and a huge file would fill the memory. */
async function faultOfFile(path: string): Promise<string | undefined> {
  try {
    const file = await stat(path);
    if (!file.isFile()) return "isn't a regular file";
    return file.size > maxFileBytes ? `is larger than ${maxFileBytes} bytes` : undefined;
  } catch (error) {
    return `can't be read: ${messageOf(error)}`;
  }
}

async function nameInside(path: string): Promise<string> {
  if ((await faultOfFile(path)) === undefined) {
    try {
      const content: unknown = JSON.parse(await readFile(path, "utf8"));
      if (isJsonObject(content) && typeof content["name"] === "string" && content["name"] !== "") {
        return content["name"];
      }
    } catch {
      // The file's fault is known already; this was only to learn whose it is.
    }
  }
  return parse(path).name;
}
