import type { ServerHttp2Session } from "node:http2";
import type { ServerLimits } from "../limits.ts";

export interface Http2Sessions {
  track(session: ServerHttp2Session): void;
  /** Ends idle sessions and those whose peer no longer answers. */
  sweep(now: number): void;
  /** GOAWAY to all: open streams may finish, no new ones are taken. */
  close(): void;
  destroy(): void;
}

interface Tracked {
  streams: number;
  /** Since when no stream is open. */
  idleSince: number;
  lastHeard: number;
  pingedAt: number | undefined;
}

/** Watches over the HTTP/2 sessions of one listener: Node.js itself never asks whether a peer is still there. */
export function createHttp2Sessions(limits: ServerLimits): Http2Sessions {
  const sessions = new Map<ServerHttp2Session, Tracked>();

  function ping(session: ServerHttp2Session, tracked: Tracked, now: number): void {
    const sent = session.ping((error) => {
      if (error) return;
      tracked.pingedAt = undefined;
      tracked.lastHeard = performance.now();
    });
    if (sent) tracked.pingedAt = now;
  }

  function sweepOne(session: ServerHttp2Session, tracked: Tracked, now: number): void {
    if (tracked.streams === 0) {
      if (now - tracked.idleSince < limits.idleTimeoutMs) return;
      // A peer that doesn't even take the GOAWAY gets no second round.
      if (session.closed) session.destroy();
      else session.close();
    } else if (tracked.pingedAt !== undefined) {
      if (now - tracked.pingedAt >= limits.pingTimeoutMs) session.destroy();
    } else if (now - tracked.lastHeard >= limits.pingIntervalMs) {
      ping(session, tracked, now);
    }
  }

  return {
    track(session) {
      const now = performance.now();
      const tracked: Tracked = { streams: 0, idleSince: now, lastHeard: now, pingedAt: undefined };
      sessions.set(session, tracked);
      session.on("stream", (stream) => {
        tracked.streams += 1;
        tracked.lastHeard = performance.now();
        stream.once("close", () => {
          tracked.streams -= 1;
          tracked.idleSince = performance.now();
        });
      });
      session.once("close", () => sessions.delete(session));
      // What breaks a session closes it; there is nobody to tell.
      session.on("error", () => session.destroy());
    },
    sweep(now) {
      for (const [session, tracked] of sessions) sweepOne(session, tracked, now);
    },
    close() {
      for (const session of sessions.keys()) session.close();
    },
    destroy() {
      for (const session of sessions.keys()) session.destroy();
    },
  };
}
