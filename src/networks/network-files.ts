import type { BigIntStats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { parse } from "node:path";
import { readNetworkFile } from "../cni/network-files.ts";
import type { NetworkList } from "../cni/network-list.ts";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import { abortError } from "../domain/signals.ts";

const maxFileBytes = 1024 * 1024;

/** What a network's file held when it was last read. */
export interface NetworkFile {
  readonly path: string;
  /** Differs when the file was written, replaced or led elsewhere. */
  readonly stamp: string;
  /** The network's; of a file without a readable one, its own name without the extension. */
  readonly name: string;
  readonly fault?: PodplugError | undefined;
}

/** `undefined` when there is no file, or a directory: the siblings of a list lie in one. */
export async function stampOf(path: string): Promise<string | undefined> {
  let found: BigIntStats;
  try {
    found = await stat(path, { bigint: true });
  } catch (error) {
    const code = systemCodeOf(error);
    // It is there, and what it holds can't be had: reading it says why.
    return code === "ENOENT" ? undefined : `unreadable: ${code}`;
  }
  if (found.isDirectory()) return undefined;
  return [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(":");
}

export async function examine(path: string, stamp: string, signal: AbortSignal): Promise<NetworkFile> {
  try {
    const { name } = await readBounded(path, signal);
    return { path, stamp, name };
  } catch (error) {
    if (!(error instanceof PodplugError) || signal.aborted) throw error;
    return { path, stamp, name: await nameInside(path), fault: error };
  }
}

/** INVALID_NETWORK or VERSION_UNSUPPORTED, naming the file. */
export async function readBounded(path: string, signal: AbortSignal): Promise<NetworkList> {
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
