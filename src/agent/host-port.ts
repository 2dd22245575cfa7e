export interface HostPort {
  /** An IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
}

/** The configuration's HOST:PORT, whose form its schema has checked. */
export function readHostPort(address: string): HostPort {
  const colon = address.lastIndexOf(":");
  return {
    host: address.slice(0, colon).replace(/^\[(.*)\]$/, "$1"),
    port: Number(address.slice(colon + 1)),
  };
}
