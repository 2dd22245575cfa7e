import { readFile } from "node:fs/promises";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { ServerAddress } from "./server-address.ts";

export type TokenSource = (signal: AbortSignal) => Promise<string>;

/** How a caller proves who it is. All of it but the controller's key needs https. Files are read anew at each use, so they can be rotated. */
export interface Credentials {
  /** A bearer token made for audience `podplug`, or who gives the one to send now, asked at each call. */
  readonly token?: string | TokenSource | undefined;
  readonly tokenFile?: string | undefined;
  /** PEM, with `clientKeyFile`. */
  readonly clientCertFile?: string | undefined;
  readonly clientKeyFile?: string | undefined;
  /** What the node's server knows podplug's own controller by; on its Unix socket only. */
  readonly controllerKeyFile?: string | undefined;
}

/** INVALID_CONFIGURATION for credentials that contradict each other, or that the connection would betray. */
export function checkCredentials(credentials: Credentials, transport: ServerAddress["kind"]): void {
  const { token, tokenFile, clientCertFile, clientKeyFile, controllerKeyFile } = credentials;
  const fault = (message: string): PodplugError => new PodplugError("INVALID_CONFIGURATION", message);
  if (token !== undefined && tokenFile !== undefined) throw fault("token and token file exclude each other");
  if ((clientCertFile === undefined) !== (clientKeyFile === undefined)) {
    throw fault("a client certificate and its key are needed together");
  }
  const given = token ?? tokenFile ?? clientCertFile;
  // On a plain port any local process could be listening in the agent's place.
  if (given !== undefined && transport !== "https") {
    throw fault("a token or client certificate is only ever sent over https");
  }
  if (controllerKeyFile !== undefined && transport !== "unix") {
    throw fault("the controller reaches the server on its node's Unix socket only: unix:///PATH");
  }
}

/** The controller's key to show now; undefined for other clients. UNREACHABLE while no server has made one. */
export async function currentControllerKey({ controllerKeyFile }: Credentials): Promise<string | undefined> {
  if (controllerKeyFile === undefined) return undefined;
  try {
    return (await readFile(controllerKeyFile, "utf8")).trim();
  } catch (cause) {
    const absent = systemCodeOf(cause) === "ENOENT";
    throw new PodplugError(
      absent ? "UNREACHABLE" : "INVALID_CONFIGURATION",
      absent
        ? `there is no ${controllerKeyFile} yet, which podplug server makes`
        : `can't read the controller's key: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** The bearer token to send now; undefined when there is none. */
export async function currentToken(
  { token, tokenFile }: Credentials,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (typeof token === "function") return token(signal);
  if (tokenFile === undefined) return token;
  let text: string;
  try {
    text = await readFile(tokenFile, "utf8");
  } catch (error) {
    throw new PodplugError("INVALID_CONFIGURATION", `can't read the token file: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const read = text.trim();
  // What can't stand in a header would be quoted in Node's own error, and with it the secret.
  if (!/^[\x21-\x7e]+$/.test(read)) {
    throw new PodplugError("INVALID_CONFIGURATION", `token file ${tokenFile} holds no token`);
  }
  return read;
}
