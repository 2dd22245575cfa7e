import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { StartChild } from "./child.ts";

const shareFileSystem = 0x200;
const mountNamespace = 0x20000;

/** Runs an action in the host's mount namespace; it must be over when it returns. */
export interface HostMounts extends Disposable {
  within<T>(action: () => T): T;
}

/**
 * The mount namespace of the host's first process, which `hostRoot` leads to.
 * From here on this thread has a root and a working directory of its own (`/`),
 * apart from the other threads'. INVALID_CONFIGURATION when hostRoot isn't the
 * host's root, PRIVILEGE_MISSING without the capabilities.
 *
 * Of what else could be done, chroot would leave what plugins mount in the
 * container, and nsenter(1) costs a program more for each plugin and hides why
 * that one didn't start.
 */
export async function openHostMounts(hostRoot: string): Promise<HostMounts> {
  const { default: koffi } = await import("koffi");
  const lib = koffi.load(null);
  const unshare = lib.func("int unshare(int what)") as (what: number) => number;
  const setns = lib.func("int setns(int fd, int kind)") as (fd: number, kind: number) => number;

  using files = new DisposableStack();
  const open = (path: string, orElse: (error: unknown) => PodplugError): number => {
    try {
      const fd = openSync(path, "r");
      files.defer(() => closeSync(fd));
      return fd;
    } catch (error) {
      throw orElse(error);
    }
  };
  const hostPath = `${hostRoot}/proc/1/ns/mnt`;
  const host = open(hostPath, (error) => cannotOpen(hostRoot, hostPath, error));
  const own = open("/proc/thread-self/ns/mnt", (error) => new PodplugError("INTERNAL", messageOf(error)));
  // Only who shares these with no other thread may move.
  if (unshare(shareFileSystem) < 0) throw cannotEnter(hostPath, koffi.errno());

  function within<T>(action: () => T): T {
    if (setns(host, mountNamespace) < 0) throw cannotEnter(hostPath, koffi.errno());
    try {
      return action();
    } finally {
      // Left there, the agent would take the host's files for its own.
      if (setns(own, mountNamespace) < 0) process.abort();
    }
  }

  // What isn't allowed is better told now than by the first plugin.
  within(() => {});
  const held = files.move();
  return { within, [Symbol.dispose]: () => held.dispose() };
}

/** Starts the programs that `isHosts` says so of in the host's mount namespace, by the host's paths. */
export function createHostStart(options: {
  readonly start: StartChild;
  readonly mounts: HostMounts;
  readonly isHosts: (path: string) => boolean;
}): StartChild {
  const { start, mounts, isHosts } = options;
  return async (run) => await (isHosts(run.path) ? mounts.within(() => start(run)) : start(run));
}

function cannotOpen(hostRoot: string, path: string, cause: unknown): PodplugError {
  if (["EACCES", "EPERM"].includes(systemCodeOf(cause) ?? "")) {
    const message = `can't open ${path}: the agent lacks CAP_SYS_PTRACE, or AppArmor or SELinux forbids it`;
    return new PodplugError("PRIVILEGE_MISSING", message, { cause });
  }
  const message = `hostRoot ${hostRoot} isn't the host's root, with its /proc: ${messageOf(cause)}`;
  return new PodplugError("INVALID_CONFIGURATION", message, { cause });
}

function cannotEnter(path: string, errno: number): PodplugError {
  if (errno === constants.errno.EPERM) {
    const message = `can't enter the host's mount namespace ${path}: the agent lacks CAP_SYS_ADMIN or CAP_SYS_CHROOT`;
    return new PodplugError("PRIVILEGE_MISSING", message);
  }
  const [code = `errno ${errno}`] = getSystemErrorMap().get(-errno) ?? [];
  return new PodplugError("INTERNAL", `can't enter the host's mount namespace ${path}: ${code}`);
}
