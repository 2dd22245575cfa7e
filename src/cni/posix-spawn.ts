import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";

/**
 * Starting a program without copying this process: posix_spawn borrows its
 * memory until the program is there, where Node's own way copies the page
 * tables, which takes longer the more memory the agent has.
 */
export interface PosixSpawn {
  /** Both ends of a pipe, closed in every program that is started. */
  pipe(): { readonly read: number; readonly write: number };
  /**
   * Starts the program in a session of its own, in `/`, with signals as they
   * are by default and `stdio` as its first descriptors. Its PID, or an error
   * with Node's `code` (ENOENT, ETXTBSY, …).
   */
  spawn(program: {
    readonly path: string;
    readonly env: Readonly<Record<string, string>>;
    readonly stdio: readonly [stdin: number, stdout: number, stderr: number];
  }): number;
  /** How the child ended; undefined while it runs. Asked for once after that. */
  reap(pid: number): { readonly exitCode: number } | { readonly signal: number } | undefined;
}

const closeOnExec = 0o2000000;
const withoutHanging = 1;
const setSignalDefaults = 0x04;
const setSignalMask = 0x08;
const setSession = 0x80;
// No C library's posix_spawnattr_t, posix_spawn_file_actions_t or sigset_t is larger.
const opaqueBytes = 512;
const signalSetBytes = 128;

type NativeFunction = (...args: readonly unknown[]) => number;

/** Rejects where there is no native code for this machine, or its C library is too old. */
export async function loadPosixSpawn(): Promise<PosixSpawn> {
  const { default: koffi } = await import("koffi");
  const lib = koffi.load(null);
  const declare = (prototype: string): NativeFunction => lib.func(prototype);
  const posixSpawn = declare(
    "int posix_spawn(_Out_ int *pid, const char *path, const void *actions, const void *attributes, const char **argv, const char **envp)",
  );
  const initActions = declare("int posix_spawn_file_actions_init(void *actions)");
  const destroyActions = declare("int posix_spawn_file_actions_destroy(void *actions)");
  const addDup = declare("int posix_spawn_file_actions_adddup2(void *actions, int from, int to)");
  const addChdir = declare("int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)");
  const initAttributes = declare("int posix_spawnattr_init(void *attributes)");
  const setFlags = declare("int posix_spawnattr_setflags(void *attributes, short flags)");
  const setDefaults = declare("int posix_spawnattr_setsigdefault(void *attributes, const void *signals)");
  const setMask = declare("int posix_spawnattr_setsigmask(void *attributes, const void *signals)");
  const pipe2 = declare("int pipe2(_Out_ int *ends, int flags)");
  const waitpid = declare("int waitpid(int pid, _Out_ int *status, int options)");

  const attributes = Buffer.alloc(opaqueBytes);
  require0(initAttributes(attributes), "posix_spawnattr_init");
  require0(setFlags(attributes, setSession | setSignalDefaults | setSignalMask), "posix_spawnattr_setflags");
  require0(setDefaults(attributes, Buffer.alloc(signalSetBytes, 0xff)), "posix_spawnattr_setsigdefault");
  require0(setMask(attributes, Buffer.alloc(signalSetBytes)), "posix_spawnattr_setsigmask");

  return {
    pipe() {
      const ends = new Int32Array(2);
      if (pipe2(ends, closeOnExec) < 0) throw systemError(koffi.errno(), "pipe2");
      const [read = -1, write = -1] = ends;
      return { read, write };
    },

    spawn({ path, env, stdio }) {
      const envp = Object.entries(env).map(([name, value]) => `${name}=${value}`);
      // C would read on to there only: a value cut short is another value.
      if ([path, ...envp].some((text) => text.includes("\0")))
        throw systemError(constants.errno.EINVAL, "spawn");
      const actions = Buffer.alloc(opaqueBytes);
      require0(initActions(actions), "posix_spawn_file_actions_init");
      try {
        require0(addChdir(actions, "/"), "posix_spawn_file_actions_addchdir_np");
        for (const [to, from] of stdio.entries()) {
          require0(addDup(actions, from, to), "posix_spawn_file_actions_adddup2");
        }
        const pid = new Int32Array(1);
        require0(posixSpawn(pid, path, actions, attributes, [path, null], [...envp, null]), `spawn ${path}`);
        return pid[0] ?? -1;
      } finally {
        destroyActions(actions);
      }
    },

    reap(pid) {
      const status = new Int32Array(1);
      const reaped = waitpid(pid, status, withoutHanging);
      if (reaped < 0) throw systemError(koffi.errno(), "waitpid");
      if (reaped === 0) return undefined;
      const [word = 0] = status;
      const signal = word & 0x7f;
      return signal === 0 ? { exitCode: (word >> 8) & 0xff } : { signal };
    },
  };
}

function require0(error: number, call: string): void {
  if (error !== 0) throw systemError(error, call);
}

function systemError(errno: number, call: string): Error {
  const [code = `errno ${errno}`, message = "unknown error"] = getSystemErrorMap().get(-errno) ?? [];
  return Object.assign(new Error(`${code}: ${message}, ${call}`), { code, errno: -errno, syscall: call });
}
