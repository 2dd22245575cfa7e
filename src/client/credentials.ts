import { readFile } from "node:fs/promises";
import { messageOf, PodplugError } from "../domain/errors.ts";

/** How a caller proves who it is. All of it needs https. Files are read anew at each use, so they can be rotated. */
export interface Credentials {
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** PEM, with `clientKeyFile`. */
  readonly clientCertFile?: string | undefined;
  readonly clientKeyFile?: string | undefined;
}

/** INVALID_CONFIGURATION for credentials that contradict each other, or that the connection would betray. */
export function checkCredentials(credentials: Credentials, encrypted: boolean): void {
  const { token, tokenFile, clientCertFile, clientKeyFile } = credentials;
  const fault = (message: string): PodplugError => new PodplugError("INVALID_CONFIGURATION", message);
  if (token !== undefined && tokenFile !== undefined) throw fault("token and token file exclude each other");
  if ((clientCertFile === undefined) !== (clientKeyFile === undefined)) {
    throw fault("a client certificate and its key are needed together");
  }
  const given = token ?? tokenFile ?? clientCertFile;
  // On a plain port any local process could be listening in the agent's place.
  if (given !== undefined && !encrypted) {
    throw fault("a token or client certificate is only ever sent over https");
  }
}

/** The bearer token to send now; undefined when there is none. */
export async function currentToken(credentials: Credentials): Promise<string | undefined> {
  if (credentials.tokenFile === undefined) return credentials.token;
  let text: string;
  try {
    text = await readFile(credentials.tokenFile, "utf8");
  } catch (error) {
    throw new PodplugError("INVALID_CONFIGURATION", `can't read the token file: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const token = text.trim();
  // What can't stand in a header would be quoted in Node's own error, and with it the secret.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new PodplugError("INVALID_CONFIGURATION", `token file ${credentials.tokenFile} holds no token`);
  }
  return token;
}
