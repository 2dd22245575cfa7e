import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { text as readText } from "node:stream/consumers";
import { callbackify } from "node:util";
import { type RawData, WebSocket } from "ws";
import { asPodplugError, messageOf, PodplugError } from "../domain/errors.ts";
import type { KubeAccess } from "./access.ts";
import { refusalError } from "./api-errors.ts";
import type { ObjectKey } from "./cluster-contract.ts";

/** The kubelet's framing: each message's first byte is its channel, two channels a port. */
const protocol = "v4.channel.k8s.io";
const dataChannel = 0;
const errorChannel = 1;
/** On each channel the server first says which port it is for. */
const portBytes = 2;

const connectTimeoutMs = 10_000;
const maxMessageBytes = 16 * 1024 * 1024;
/** The connection ended without a word (RFC 6455, section 7.1.5). */
const cutCode = 1006;

export interface PortForwardOptions {
  readonly access: KubeAccess;
  readonly pod: ObjectKey;
  readonly port: number;
}

/** A stream of bytes to a port in a pod's network namespace, by `pods/portforward` over a WebSocket. */
export function openForwardedPort({ access, pod, port }: PortForwardOptions): Duplex {
  const doing = `forwarding port ${port} of pod ${pod.namespace}/${pod.name}`;
  const seen = new Set<number>();
  let webSocket: WebSocket | undefined;
  const lost = (why: string, cause?: unknown): PodplugError =>
    new PodplugError("UNREACHABLE", `${doing}: ${why}`, { cause });

  const stream = new Duplex({
    // A WebSocket has no half that could end by itself.
    allowHalfOpen: false,
    construct(done) {
      callbackify(open)(done);
    },
    read() {
      webSocket?.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      webSocket?.send(Buffer.concat([Buffer.of(dataChannel), chunk]), done);
    },
    final(done) {
      webSocket?.close();
      done();
    },
    destroy(error, done) {
      webSocket?.terminate();
      done(error);
    },
  });

  async function open(): Promise<void> {
    try {
      webSocket = await connect(access, { pod, port, doing });
    } catch (error) {
      throw error instanceof PodplugError ? error : lost(messageOf(error), error);
    }
    webSocket.on("message", take);
    webSocket.on("error", (error) => stream.destroy(lost(error.message, error)));
    webSocket.on("close", (code) => {
      if (code === cutCode) stream.destroy(lost("the connection was cut"));
      else stream.push(null);
    });
    webSocket.resume();
  }

  function take(data: RawData): void {
    // One buffer, as the socket's binaryType is Node's.
    const message = data as Buffer;
    const channel = message[0] ?? dataChannel;
    const content = message.subarray(seen.has(channel) ? 1 : 1 + portBytes);
    seen.add(channel);
    if (content.length === 0) return;
    if (channel === errorChannel) stream.destroy(lost(content.toString("utf8").trim()));
    if (channel === dataChannel && !stream.push(content)) webSocket?.pause();
  }

  return stream;
}

/** Paused, so that nothing is lost before somebody listens. */
async function connect(
  access: KubeAccess,
  { pod, port, doing }: { readonly pod: ObjectKey; readonly port: number; readonly doing: string },
): Promise<WebSocket> {
  const { server, agent, headers } = await access.session();
  const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/portforward?ports=${port}`;
  const url = new URL(`${server.pathname.replace(/\/$/, "")}${path}`, server);
  url.protocol = "wss:";
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  const webSocket = new WebSocket(url, protocol, {
    agent,
    headers: { ...headers, "user-agent": "podplug" },
    handshakeTimeout: connectTimeoutMs,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
  });
  webSocket.on("error", reject);
  webSocket.on("unexpected-response", (request, response) => {
    refusalOf(response, doing)
      .then(reject, (error: unknown) => reject(asPodplugError(error)))
      .finally(() => request.destroy());
  });
  webSocket.on("open", () => {
    webSocket.pause();
    resolve(webSocket);
  });
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
