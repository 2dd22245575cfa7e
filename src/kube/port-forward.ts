import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { text as readText } from "node:stream/consumers";
import { callbackify } from "node:util";
import { asPodplugError, messageOf, PodplugError } from "../domain/errors.ts";
import type { KubeAccess } from "./access.ts";
import { refusalError } from "./api-errors.ts";
import type { ObjectKey } from "./cluster-contract.ts";
import {
  clientFrame,
  handshakeAnswer,
  type Message,
  MessageReader,
  newHandshakeKey,
  opcodes,
} from "./websocket.ts";

/** The kubelet's framing: each message's first byte is its channel, two channels a port. */
const protocol = "v4.channel.k8s.io";
const dataChannel = 0;
const errorChannel = 1;
/** On each channel the server first says which port it is for. */
const portBytes = 2;

const connectTimeoutMs = 10_000;
const maxMessageBytes = 16 * 1024 * 1024;

export interface PortForwardOptions {
  readonly access: KubeAccess;
  readonly pod: ObjectKey;
  readonly port: number;
}

/** A stream of bytes to a port in a pod's network namespace, by `pods/portforward` over a WebSocket. */
export function openForwardedPort({ access, pod, port }: PortForwardOptions): Duplex {
  const doing = `forwarding port ${port} of pod ${pod.namespace}/${pod.name}`;
  let socket: Socket | undefined;
  const lost = (why: string, cause?: unknown): PodplugError =>
    new PodplugError("UNREACHABLE", `${doing}: ${why}`, { cause });

  const stream = new Duplex({
    // A WebSocket has no half that could end by itself.
    allowHalfOpen: false,
    construct(done) {
      callbackify(open)(done);
    },
    read() {
      socket?.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      socket?.write(clientFrame(opcodes.binary, Buffer.concat([Buffer.of(dataChannel), chunk])), done);
    },
    final(done) {
      socket?.write(clientFrame(opcodes.close, Buffer.alloc(0)), () => done());
    },
    destroy(error, done) {
      socket?.destroy();
      done(error);
    },
  });

  async function open(): Promise<void> {
    try {
      const { socket: connected, head } = await connect(access, { pod, port, doing });
      socket = connected;
      serve(connected, head);
    } catch (error) {
      throw error instanceof PodplugError ? error : lost(messageOf(error), error);
    }
  }

  function serve(connected: Socket, head: Buffer): void {
    const messages = new MessageReader(maxMessageBytes);
    const seen = new Set<number>();
    const take = (chunk: Buffer): void => {
      try {
        for (const message of messages.read(chunk)) answer(connected, message, seen);
      } catch (error) {
        stream.destroy(lost(messageOf(error), error));
      }
    };
    connected.on("data", take);
    connected.on("error", (error) => stream.destroy(lost(error.message, error)));
    connected.on("close", () => stream.push(null));
    if (head.length > 0) take(head);
  }

  function answer(connected: Socket, { opcode, payload }: Message, seen: Set<number>): void {
    if (opcode === opcodes.ping) connected.write(clientFrame(opcodes.pong, payload));
    if (opcode === opcodes.close) connected.end();
    if (opcode !== opcodes.binary && opcode !== opcodes.text) return;
    const channel = payload[0] ?? dataChannel;
    const content = payload.subarray(seen.has(channel) ? 1 : 1 + portBytes);
    seen.add(channel);
    if (content.length === 0) return;
    if (channel === errorChannel) throw new Error(content.toString("utf8").trim());
    if (channel === dataChannel && !stream.push(content)) connected.pause();
  }

  return stream;
}

interface Upgraded {
  readonly socket: Socket;
  /** What came right behind the handshake. */
  readonly head: Buffer;
}

async function connect(
  access: KubeAccess,
  { pod, port, doing }: { readonly pod: ObjectKey; readonly port: number; readonly doing: string },
): Promise<Upgraded> {
  const { server, agent, headers } = await access.session();
  const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/portforward?ports=${port}`;
  const key = newHandshakeKey();
  const { promise, resolve, reject } = Promise.withResolvers<Upgraded>();
  const request = httpsRequest(new URL(`${server.pathname.replace(/\/$/, "")}${path}`, server), {
    agent,
    headers: {
      ...headers,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": key,
      "sec-websocket-protocol": protocol,
      "user-agent": "podplug",
    },
    timeout: connectTimeoutMs,
  });
  request.on("upgrade", (response: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.setTimeout(0);
    if (response.headers["sec-websocket-accept"] === handshakeAnswer(key)) resolve({ socket, head });
    else {
      socket.destroy();
      reject(new Error("what answers isn't a WebSocket server"));
    }
  });
  request.on("response", (response) => {
    refusalOf(response, doing).then(reject, (error: unknown) => reject(asPodplugError(error)));
  });
  request.on("timeout", () => request.destroy(new Error("no answer from the API server in time")));
  request.on("error", reject);
  request.end();
  return await promise;
}

async function refusalOf(response: IncomingMessage, doing: string): Promise<PodplugError> {
  const status = response.statusCode ?? 0;
  const text = await readText(response);
  return refusalError({ status, body: bodyOf(text) }, doing, "user");
}

/** A Kubernetes Status, or what a proxy on the way says. */
function bodyOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
