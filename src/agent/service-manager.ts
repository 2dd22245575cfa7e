import { loadLibc } from "../interfaces/libc.ts";
import { describeErrno } from "../interfaces/system-call.ts";

const familyUnix = 1;
const kindDatagram = 2;
const closeOnExec = 0x80000;
const withoutSignal = 0x4000;

/** READY once it serves, STOPPING once it was told to end. */
export type ServiceState = "READY" | "STOPPING";

/**
 * Tells the service manager that started this process, where one wants to know
 * (`NOTIFY_SOCKET`, as sd_notify(3) has it). Throws when it can't be told.
 */
export async function tellServiceManager(
  state: ServiceState,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const path = env["NOTIFY_SOCKET"];
  if (!path) return;
  const libc = await loadLibc();
  // Node.js has no datagrams on Unix sockets.
  const fd = checked(libc.socket(familyUnix, kindDatagram | closeOnExec, 0));
  try {
    checked(libc.connect(fd, addressOf(path)));
    checked(await libc.send(fd, Buffer.from(`${state}=1\n`), withoutSignal));
  } finally {
    libc.close(fd);
  }

  function checked(result: number): number {
    if (result >= 0) return result;
    throw new Error(`NOTIFY_SOCKET ${path} can't be told ${state}: ${describeErrno(result)}`);
  }
}

/** struct sockaddr_un; a leading @ stands for the NUL of a name that isn't in the file system. */
function addressOf(path: string): Uint8Array {
  const name = Buffer.from(path.replace(/^@/, "\0"));
  const family = Buffer.from(Uint16Array.of(familyUnix).buffer);
  return Buffer.concat([family, name]);
}
