import { Code, ConnectError } from "@connectrpc/connect";
import { PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { Reason } from "../domain/reasons.ts";
import { abortError } from "../domain/signals.ts";
import { podplugErrorOf } from "../wire/errors.ts";
import type { ServerAddress } from "./server-address.ts";

export type Doing = "attaching" | "detaching" | "listing" | "watching" | "checking" | "asking";

/** What a call to this address threw, as PodplugErrors. */
export interface CallErrors {
  translate(thrown: unknown, doing: Doing, signal: AbortSignal): PodplugError;
  /** The connection ended before the answer did. */
  lost(doing: Doing, cause?: unknown): PodplugError;
}

export function createCallErrors(address: ServerAddress): CallErrors {
  const lost = (doing: Doing, cause?: unknown): PodplugError => {
    const goesOn = doing === "attaching" || doing === "detaching" ? "; a change that had begun goes on" : "";
    const message = `the connection to ${address.text} was lost while ${doing}${goesOn}`;
    return new PodplugError("UNREACHABLE", message, { cause });
  };
  return {
    lost,
    translate(thrown, doing, signal) {
      if (signal.aborted) return abortError(signal, doing);
      const chain = causesOf(thrown);
      const ours = chain.find((error) => error instanceof PodplugError);
      if (ours !== undefined) return ours;
      for (const error of chain) {
        const code = systemCodeOf(error);
        const explained = code === undefined ? undefined : explain(code, address, wordsOf(error));
        if (explained !== undefined)
          return new PodplugError(explained.reason, explained.message, { cause: thrown });
        if (code !== undefined) return lost(doing, thrown);
      }
      const translated = podplugErrorOf(thrown);
      const rest = { cause: thrown };
      switch (translated.reason) {
        case "CANCELED":
          // Not by this caller: the stream was reset together with its connection.
          return lost(doing, thrown);
        case "DEADLINE_EXCEEDED":
          return new PodplugError(
            translated.reason,
            `no answer from ${address.text} in time while ${doing}`,
            rest,
          );
        case "UNREACHABLE":
          return new PodplugError(
            translated.reason,
            `no answer from ${address.text}: ${translated.message}`,
            rest,
          );
        case "UNSUPPORTED":
        case "INTERNAL":
          return isForeign(thrown) ? foreign(address, thrown) : translated;
        default:
          return translated;
      }
    },
  };
}

interface Explanation {
  readonly reason: Reason;
  readonly message: string;
}

/** What an error of the system or of TLS means here, and what to do; undefined when it only means a lost connection. */
function explain(code: string, address: ServerAddress, message: string): Explanation | undefined {
  const at = address.text;
  const unreachable = (text: string): Explanation => ({ reason: "UNREACHABLE", message: text });
  switch (code) {
    case "ENOENT":
      return unreachable(
        `no socket at ${at}: the agent doesn't run here, or listens elsewhere (see --server)`,
      );
    case "ENOTSOCK":
    case "EPROTOTYPE":
      return unreachable(`what lies at ${at} isn't a socket to talk to`);
    case "EACCES":
    case "EPERM":
      return {
        reason: "DENIED",
        message: `this user may not open ${at}: run as root, or as a member of the socket's group`,
      };
    case "ECONNREFUSED":
      return unreachable(
        address.kind === "unix"
          ? `nobody listens on ${at}: the agent ended without removing its socket; start it again`
          : `nobody listens at ${at}: the agent doesn't run there, or its api.listen says another port`,
      );
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return unreachable(`the host of ${at} can't be resolved`);
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return unreachable(`${at} can't be reached: ${message}`);
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return unreachable(`the certificate of ${at} is for another name: ${message} (see --tls-server-name)`);
    case "EPROTO":
      return unreachable(`what answers at ${at} doesn't speak TLS`);
  }
  // The other side's alerts about the certificate that was shown to it, or wasn't.
  if (/^ERR_SSL_\w+_ALERT_\w*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) {
    return { reason: "UNAUTHENTICATED", message: `${at} refused the client's certificate: ${message}` };
  }
  if (code.startsWith("ERR_SSL")) return unreachable(`TLS with ${at} failed: ${message}`);
  if (code.includes("CERT") || code.includes("SIGNATURE") || code.includes("ISSUER")) {
    return unreachable(`the certificate of ${at} can't be trusted: ${message} (see --ca)`);
  }
  if (code === "ERR_HTTP2_ERROR" || code.startsWith("HPE_"))
    return unreachable(`what answers at ${at} isn't podplug: ${message}`);
  return undefined;
}

/** A plain HTTP answer of something that knows no such service: an agent's own failures carry their details. */
function isForeign(thrown: unknown): boolean {
  return (
    thrown instanceof ConnectError &&
    (thrown.code === Code.Unimplemented || thrown.code === Code.Internal) &&
    thrown.details.length === 0
  );
}

function foreign(address: ServerAddress, cause: unknown): PodplugError {
  return new PodplugError("UNREACHABLE", `what answers at ${address.text} isn't podplug, or is too old`, {
    cause,
  });
}

/** OpenSSL's own words without its file names and codes, where it has some. */
function wordsOf(error: Error): string {
  return "reason" in error && typeof error.reason === "string" ? error.reason : error.message;
}

function causesOf(thrown: unknown): Error[] {
  const chain: Error[] = [];
  for (let error = thrown; error instanceof Error && !chain.includes(error); error = error.cause)
    chain.push(error);
  return chain;
}
