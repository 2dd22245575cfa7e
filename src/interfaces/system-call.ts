import { getSystemErrorMap } from "node:util";

/** `operation not permitted (EPERM)` for a negative errno. */
export function describeErrno(errno: number): string {
  const [name, message] = getSystemErrorMap().get(errno) ?? [`errno ${-errno}`, "unknown error"];
  return `${message} (${name})`;
}
