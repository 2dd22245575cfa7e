import type { Authenticator } from "./contract.ts";

/** Whoever can open the Unix socket may use it: the file's mode and group are the check. */
export const authenticateUnixSocket: Authenticator = async () => ({ name: "unix-socket", reconciler: false });
