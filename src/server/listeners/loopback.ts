import { lookup } from "node:dns/promises";
import { BlockList, isIP, type Server } from "node:net";
import { messageOf, PodplugError } from "../../domain/errors.ts";
import { type BoundAddress, bindTcp, nameOf } from "./bind.ts";

export interface TcpAddress {
  /** Of this host alone: an address of 127.0.0.0/8, ::1, or localhost. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Must be said: without TLS, every process of the node is let in. */
  readonly insecure: boolean;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Listens on a loopback address and answers where; anything else is INVALID_CONFIGURATION. */
export async function listenOnLoopback(server: Server, address: TcpAddress): Promise<BoundAddress> {
  const { host, port, insecure } = address;
  const name = nameOf(host, port);
  if (!insecure) {
    throw new PodplugError(
      "INVALID_CONFIGURATION",
      `can't listen on ${name} without TLS, unless insecure is true`,
    );
  }
  const ip = isIP(host) === 0 && host.toLowerCase() === "localhost" ? await resolveLocalhost() : host;
  if (!isLoopbackAddress(ip)) {
    throw new PodplugError(
      "INVALID_CONFIGURATION",
      `can't listen on ${name} without TLS, it isn't a loopback address`,
    );
  }
  return await bindTcp(server, ip, port);
}

async function resolveLocalhost(): Promise<string> {
  try {
    return (await lookup("localhost")).address;
  } catch (cause) {
    throw new PodplugError("INVALID_CONFIGURATION", `can't resolve localhost, ${messageOf(cause)}`, {
      cause,
    });
  }
}

export function isLoopbackAddress(ip: string): boolean {
  const family = isIP(ip);
  return family !== 0 && loopback.check(ip, family === 6 ? "ipv6" : "ipv4");
}

/**
 * Whether a request may come from a browser: a page of any site can send
 * requests to this host's loopback, either under its own name made to resolve
 * to 127.0.0.1 (so that the authority isn't ours) or across origins (so that
 * there is an origin).
 */
export function isFromBrowser(authorities: readonly string[], origin: string | undefined): boolean {
  return origin !== undefined || authorities.length === 0 || !authorities.every(isLoopbackAuthority);
}

function isLoopbackAuthority(authority: string): boolean {
  if (!URL.canParse(`http://${authority}`)) return false;
  const { hostname } = new URL(`http://${authority}`);
  return hostname === "localhost" || isLoopbackAddress(hostname.replace(/^\[(.*)\]$/, "$1"));
}
