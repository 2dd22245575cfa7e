/** What one server takes, and how long it waits. Times are in milliseconds. */
export interface ServerLimits {
  /** Open connections of each listener; more are closed as they come. */
  readonly connections: number;
  /** Of those, from one address, on the TLS port. */
  readonly connectionsPerAddress: number;
  /** Until a new connection's first bytes tell which protocol it speaks. */
  readonly sniffTimeoutMs: number;
  /** For all headers of an HTTP/1.1 request. */
  readonly headersTimeoutMs: number;
  /** For a whole request, its body included. */
  readonly requestTimeoutMs: number;
  /** For a connection on which no call runs. */
  readonly idleTimeoutMs: number;
  /** For a client that doesn't read what it asked for. */
  readonly stallTimeoutMs: number;
  /** How often a peer with an open HTTP/2 stream must show that it is still there, and how long it may take to. */
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** Silence before TCP asks whether the peer still lives: for streams over HTTP/1.1. */
  readonly tcpKeepAliveMs: number;
  /** How often the TLS files are looked at. */
  readonly tlsRereadMs: number;
  readonly headerBytes: number;
  /** Open streams of one HTTP/2 connection. */
  readonly streamsPerConnection: number;
  /** Streams that a peer may reset at once, and each second from then on; one that resets more is cut. */
  readonly streamResetBurst: number;
  readonly streamResetsPerSecond: number;
  /** One request message, after decompression. */
  readonly requestBytes: number;
  /** Calls at once, watchers among them: of one caller, and of all but podplug's controller. */
  readonly inFlightPerCaller: number;
  readonly inFlight: number;
  /** A call ends by then, whatever deadline its caller gave; watchers are free of it. */
  readonly maxDeadlineMs: number;
}

export const defaultLimits: ServerLimits = {
  connections: 256,
  connectionsPerAddress: 64,
  sniffTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 120_000,
  stallTimeoutMs: 60_000,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 15_000,
  tcpKeepAliveMs: 30_000,
  tlsRereadMs: 10_000,
  headerBytes: 16_384,
  streamsPerConnection: 128,
  streamResetBurst: 256,
  streamResetsPerSecond: 32,
  requestBytes: 1_048_576,
  inFlightPerCaller: 64,
  inFlight: 512,
  maxDeadlineMs: 300_000,
};

/** How often the clocks above are looked at: often enough to be a quarter late at most, seldom enough to let an idle agent sleep. */
export function sweepIntervalMs(limits: ServerLimits): number {
  const shortest = Math.min(
    limits.requestTimeoutMs,
    limits.idleTimeoutMs,
    limits.stallTimeoutMs,
    limits.pingIntervalMs,
    limits.pingTimeoutMs,
  );
  return Math.max(10, Math.min(5000, Math.floor(shortest / 4)));
}
