import { chmod, chown, lstat, mkdir, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { messageOf, PodplugError, systemCodeOf } from "../../domain/errors.ts";
import { bind } from "./bind.ts";

export interface SocketAddress {
  readonly path: string;
  /** The file's permissions, as in chmod: 0o600. */
  readonly mode: number;
  /** The group's name or number; the process's own when absent. */
  readonly group?: string | undefined;
  /**
   * Holds a file for this process alone, as long as what it answers isn't
   * disposed of; throws `refused` when another process does. Of several
   * processes that come at once only one may find the socket free.
   */
  readonly lock?: ((file: string, refused: string) => Promise<AsyncDisposable>) | undefined;
}

// sockaddr_un holds 108 bytes, the closing zero among them (unix(7)).
const maxPathBytes = 107;

/**
 * Listens on a Unix socket that nobody can open before it has its mode and
 * group: it is made in a directory of our own and then moved to its place.
 * The socket of a dead process is replaced; a live one, a file of another kind
 * or a directory that others may write to is INVALID_CONFIGURATION. Answers how to remove the file.
 */
export async function listenOnSocket(server: Server, address: SocketAddress): Promise<() => Promise<void>> {
  const { path, mode, group } = address;
  try {
    if (Buffer.byteLength(path) > maxPathBytes) throw unusable(path, `is longer than ${maxPathBytes} bytes`);
    const gid = group ? await groupNumber(group) : undefined;
    const directory = dirname(path);
    await makeDirectory(directory);
    await refuseUnlessOurs(path, directory);
    await using cleanup = new AsyncDisposableStack();
    if (address.lock) cleanup.use(await address.lock(`${path}.lock`, inUse(path).message));
    await refuseUnlessFree(path);
    const remove = await placeSocket(server, { path, mode, gid, directory });
    const held = cleanup.move();
    return async () => {
      await using _ = held;
      await remove();
    };
  } catch (cause) {
    if (cause instanceof PodplugError) throw cause;
    throw new PodplugError("INVALID_CONFIGURATION", `can't listen on socket ${path}, ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function placeSocket(
  server: Server,
  place: { path: string; mode: number; gid: number | undefined; directory: string },
): Promise<() => Promise<void>> {
  // Mode 0700, and names short enough that the path is no longer than the real one.
  const nursery = await mkdtemp(`${place.directory}/.`);
  const newborn = `${nursery}/s`;
  try {
    await bind(server, { path: newborn }, `socket ${place.path}`);
    if (place.gid !== undefined) await chown(newborn, -1, place.gid);
    await chmod(newborn, place.mode);
    const { ino, dev } = await lstat(newborn);
    await rename(newborn, place.path);
    return async () => {
      const present = await lstatOrUndefined(place.path);
      // Another agent may have put its own there since.
      if (present?.ino === ino && present.dev === dev) await rm(place.path, { force: true });
    };
  } catch (error) {
    server.close();
    throw error;
  } finally {
    await rm(nursery, { recursive: true, force: true });
  }
}

async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true });
  if (first === undefined) return;
  // mkdir's mode is cut by the umask, and a strict one would keep the socket's group out.
  for (let made = directory; made.length >= first.length; made = dirname(made)) await chmod(made, 0o755);
}

/** Who can write to the directory can put a socket of their own in the place of this one. */
async function refuseUnlessOurs(path: string, directory: string): Promise<void> {
  const { mode, uid, gid } = await stat(directory);
  const isOurs = uid === 0 || uid === process.getuid?.();
  const isClosed = (mode & 0o002) === 0 && ((mode & 0o020) === 0 || gid === 0 || gid === process.getgid?.());
  if (isOurs && isClosed) return;
  throw unusable(path, `is in ${directory}, where others than root and the agent may write`);
}

async function refuseUnlessFree(path: string): Promise<void> {
  const present = await lstatOrUndefined(path);
  if (!present) return;
  if (!present.isSocket()) throw unusable(path, "is there already and isn't a socket");
  if (await isAlive(path)) throw inUse(path);
}

async function lstatOrUndefined(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether somebody listens on it. Only a refusal says that nobody does: a full queue or a lack of rights don't. */
async function isAlive(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect(path);
  probe.once("connect", () => resolve(true));
  probe.once("error", (error) => resolve(systemCodeOf(error) !== "ECONNREFUSED"));
  try {
    return await promise;
  } finally {
    probe.destroy();
  }
}

async function groupNumber(group: string): Promise<number> {
  if (/^\d+$/.test(group)) return Number(group);
  const lines = (await readFile("/etc/group", "utf8")).split("\n");
  const gid = lines.map((line) => line.split(":")).find(([name]) => name === group)?.[2];
  if (!gid)
    throw new PodplugError("INVALID_CONFIGURATION", `/etc/group has no group ${JSON.stringify(group)}`);
  return Number(gid);
}

function inUse(path: string): PodplugError {
  return unusable(path, "is in use by another process");
}

function unusable(path: string, why: string): PodplugError {
  return new PodplugError("INVALID_CONFIGURATION", `can't listen on socket ${path}, it ${why}`);
}
