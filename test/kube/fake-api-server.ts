import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { goJson, isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { createFakeReviewer } from "../fakes/fake-reviewer.ts";
import { createAuthority } from "../support/certificates.ts";
import { forwardPort } from "./fake-port-forward.ts";
import { answerReview } from "./fake-reviews.ts";

/** As the API server keeps it. */
export interface ApiObject {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly [key: string]: unknown;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly accept: string;
  readonly authorization: string;
  readonly body: unknown;
}

/** Answers a request in the server's place. */
export type Trick = (request: IncomingMessage, response: ServerResponse) => void;

interface Watcher {
  readonly response: ServerResponse;
  readonly selected: (pod: ApiObject) => boolean;
}

const authority = createAuthority("test cluster");

/** So much of kube-apiserver as podplug speaks to, over HTTPS on loopback or another address, with a hand for its troubles. */
export async function startFakeApiServer(address = "127.0.0.1") {
  const certificate = authority.issue("kube-apiserver", [address]);
  const objects = new Map<string, ApiObject>();
  const watchers = new Set<Watcher>();
  const history: { readonly version: number; readonly type: string; readonly object: ApiObject }[] = [];
  const seen: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  const tricks: { readonly match: RegExp; readonly trick: Trick; left: number }[] = [];
  const tokens = new Set(["first-token"]);
  const reviews = createFakeReviewer();
  /** Where forwarded ports lead, by `/api/v1/…/pods/NAME:PORT`. */
  const ports = new Map<string, number>();
  let version = 100;
  let oldest = 0;
  let granted = 0;
  let connections = 0;

  const server = createServer({ cert: certificate.cert, key: certificate.key }, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
    const url = new URL(request.url ?? "", "https://127.0.0.1");
    const { authorization = "", accept = "" } = request.headers;
    seen.push({
      method: "UPGRADE",
      path: url.pathname,
      query: url.searchParams,
      accept,
      authorization,
      body: undefined,
    });
    const pod = url.pathname.replace(/\/portforward$/, "");
    if (!tokens.has(authorization.replace("Bearer ", "")))
      return refuseUpgrade(socket, 403, "pods/portforward is forbidden");
    if (!objects.has(pod)) return refuseUpgrade(socket, 404, `${pod} not found`);
    forwardPort(request, socket, ports.get(`${pod}:${url.searchParams.get("ports")}`));
  });
  server.on("connection", (stream) => {
    const socket = stream as Socket;
    connections += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
  });
  server.listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  /** Nobody listens any more, and every connection is cut. */
  async function goAway(): Promise<void> {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "https://127.0.0.1");
    const { method = "GET" } = request;
    const text = await readText(request);
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    const { accept = "", authorization = "" } = request.headers;
    seen.push({ method, path: url.pathname, query: url.searchParams, accept, authorization, body });
    const kind = url.searchParams.has("watch") ? "WATCH" : method;
    const trick = tricks.find(({ match, left }) => left > 0 && match.test(`${kind} ${url.pathname}`));
    if (trick) {
      trick.left -= 1;
      trick.trick(request, response);
      return;
    }
    if (!tokens.has(authorization.replace("Bearer ", ""))) return sendStatus(response, 401, "Unauthorized");
    if (url.pathname === "/api/v1/pods") {
      if (kind === "WATCH") return watch(url.searchParams, response);
      return list(url.searchParams, response);
    }
    if (method === "GET" && /\/namespaces\/[^/]+\/pods$/.test(url.pathname)) {
      const selected = selector(url.searchParams);
      const items = [...objects].filter(
        ([path, pod]) => path.startsWith(`${url.pathname}/`) && selected(pod),
      );
      return send(response, 200, { items: items.map(([, pod]) => pod) });
    }
    if (/\/serviceaccounts\/[^/]+\/token$/.test(url.pathname))
      return grant(url.pathname, body as JsonObject, response);
    if (url.pathname.endsWith("reviews"))
      return send(response, 201, await answerReview(reviews, body as JsonObject));
    if (method === "POST") return create(url.pathname, body as JsonObject, response);
    const path = url.pathname.replace(/\/status$/, "");
    const object = objects.get(path);
    if (!object) return sendStatus(response, 404, `${path} not found`);
    if (method === "PATCH") return patch(path, object, request.headers["content-type"], text, response);
    return send(response, 200, object);
  }

  /** A token that says whose it is and for whom, as a TokenRequest's does. */
  function grant(path: string, body: JsonObject, response: ServerResponse): void {
    if (!objects.has(path.replace(/\/token$/, "")))
      return sendStatus(response, 404, "serviceaccounts not found");
    const { audiences, expirationSeconds } = body["spec"] as {
      audiences: string[];
      expirationSeconds: number;
    };
    granted += 1;
    const token = `${path.split("/").slice(4, 7).join(".")}.${audiences.join("+")}.${granted}`;
    const expirationTimestamp = new Date(Date.now() + expirationSeconds * 1000).toISOString();
    send(response, 201, { status: { token, expirationTimestamp } });
  }

  function list(query: URLSearchParams, response: ServerResponse): void {
    const selected = selector(query);
    const all = [...objects].filter(([path, object]) => path.includes("/pods/") && selected(object));
    if (Number(query.get("resourceVersion") ?? 0) > version) {
      return sendStatus(response, 504, "Timeout: Too large resource version");
    }
    const items = all.map(([, object]) => ({ metadata: object.metadata }));
    send(response, 200, { metadata: { resourceVersion: `${version}` }, items });
  }

  function watch(query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get("resourceVersion"));
    const watcher = { response, selected: selector(query) };
    if (from < oldest) return sendStatus(response, 410, "too old resource version");
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    watchers.add(watcher);
    response.on("close", () => watchers.delete(watcher));
    for (const event of history) if (event.version > from) tell(watcher, event);
  }

  function tell(
    watcher: Watcher,
    { type, object }: { readonly type: string; readonly object: ApiObject },
  ): void {
    const kind = type !== "DELETED" && !watcher.selected(object) ? "DELETED" : type;
    const metadata = { managedFields: [{ manager: "kubelet" }], ...object.metadata };
    watcher.response.write(`${JSON.stringify({ type: kind, object: { metadata } })}\n`);
  }

  function publish(type: string, object: ApiObject): void {
    const event = { version, type, object };
    history.push(event);
    for (const watcher of watchers) tell(watcher, event);
  }

  function create(path: string, body: JsonObject, response: ServerResponse): void {
    const { name } = body["metadata"] as { readonly name: string };
    const key = `${path}/${name}`;
    if (objects.has(key)) return sendStatus(response, 409, "already exists");
    put(key, body);
    send(response, 201, objects.get(key));
  }

  function patch(
    path: string,
    object: ApiObject,
    type: string | undefined,
    text: string,
    response: ServerResponse,
  ): void {
    const body: unknown = JSON.parse(text);
    if (type === "application/merge-patch+json") {
      const { metadata: changed = {}, ...others } = body as { metadata?: Record<string, unknown> };
      const { uid, resourceVersion, annotations, ...unknown } = changed;
      if (Object.keys(unknown).length > 0) return sendStatus(response, 422, "only annotations may change");
      const { metadata } = object;
      if ((uid ?? metadata.uid) !== metadata.uid) return sendStatus(response, 409, "UID differs");
      if ((resourceVersion ?? metadata.resourceVersion) !== metadata.resourceVersion) {
        return sendStatus(response, 409, "the object has been modified");
      }
      const merged = { ...metadata.annotations, ...(annotations as Record<string, string> | undefined) };
      put(path, { ...object, ...others, metadata: { ...metadata, annotations: merged } });
    } else {
      let next = structuredClone(object) as unknown as JsonObject;
      for (const { op, path: pointer, value } of body as { op: string; path: string; value: string }[]) {
        const keys = pointer
          .slice(1)
          .split("/")
          .map((key) => key.replaceAll("~1", "/"));
        const present = keys.reduce<unknown>((at, key) => (isJsonObject(at) ? at[key] : undefined), next);
        // The real one compares the bytes that came with its own print.
        if (op === "test" && !text.includes(`"value":${goJson(present)}`)) {
          return sendStatus(response, 422, `testing value ${pointer} failed`);
        }
        if (op === "replace") next = replaced(next, keys, value);
      }
      put(path, next);
    }
    send(response, 200, objects.get(path));
  }

  function replaced(object: JsonObject, [key = "", ...rest]: string[], value: string): JsonObject {
    return {
      ...object,
      [key]: rest.length === 0 ? value : replaced(object[key] as JsonObject, rest, value),
    };
  }

  function put(path: string, object: Readonly<Record<string, unknown>>): ApiObject {
    version += 1;
    const metadata = object["metadata"] as ApiObject["metadata"];
    const stored = { ...object, metadata: { ...metadata, resourceVersion: `${version}` } };
    const type = objects.has(path) ? "MODIFIED" : "ADDED";
    objects.set(path, stored);
    if (path.includes("/pods/")) publish(type, stored);
    return stored;
  }

  return {
    url: `https://${address}:${port}`,
    authority: authority.cert,
    issueClient: (name: string) => authority.issue(name),
    tokens,
    ports,
    /** Who TokenReviews and SubjectAccessReviews know. */
    reviews,
    seen,
    put,
    get: (path: string) => objects.get(path),
    paths: () => [...objects.keys()],
    remove(path: string): void {
      const object = objects.get(path);
      if (!object) return;
      version += 1;
      objects.delete(path);
      const metadata = { ...object.metadata, resourceVersion: `${version}` };
      if (path.includes("/pods/")) publish("DELETED", { ...object, metadata });
    },
    /** The next requests of this form ("WATCH /api/v1/pods") get the trick instead of an answer. */
    trick(match: RegExp, trick: Trick, times = 1): void {
      tricks.push({ match, trick, left: times });
    },
    /** Every watch of an older version is refused from now on. */
    compact(): void {
      oldest = version;
      history.length = 0;
    },
    /** As time passes elsewhere in the cluster. */
    pass(versions: number): void {
      version += versions;
    },
    /** Back to an earlier version, without these objects, and without telling anybody. */
    restore(without: readonly string[], earlier: number): void {
      for (const path of without) objects.delete(path);
      version = earlier;
      oldest = 0;
      history.length = 0;
    },
    writeToWatchers(text: string): void {
      for (const { response } of watchers) response.write(text);
    },
    bookmark(): void {
      for (const { response } of watchers) {
        const object = { metadata: { resourceVersion: `${version}` } };
        response.write(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
      }
    },
    endWatches(): void {
      for (const { response } of watchers) response.end();
    },
    resetConnections(): void {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    /** Watches that are open now. */
    get watches() {
      return watchers.size;
    },
    get connections() {
      return connections;
    },
    get openConnections() {
      return sockets.size;
    },
    goAway,
    /** At the address it had. */
    async comeBack(): Promise<void> {
      server.listen(port, address);
      await once(server, "listening");
    },
    async [Symbol.asyncDispose](): Promise<void> {
      if (server.listening) await goAway();
    },
  };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function refuseUpgrade(socket: Socket, code: number, message: string): void {
  const body = JSON.stringify({ kind: "Status", status: "Failure", code, message });
  const head = [
    `HTTP/1.1 ${code} Refused`,
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
  ];
  socket.end([...head, "Connection: close", "", body].join("\r\n"));
}

export function sendStatus(response: ServerResponse, code: number, message: string): void {
  send(response, code, { kind: "Status", status: "Failure", code, message });
}

/** `spec.nodeName=a,status.phase!=Failed`, and labels as `a=b,c=d`. */
function selector(query: URLSearchParams): (pod: ApiObject) => boolean {
  const termsOf = (key: string): string[] => (query.get(key) ?? "").split(",").filter((term) => term !== "");
  const terms = termsOf("fieldSelector");
  const labels = termsOf("labelSelector").map((term) => term.split("=", 2) as [string, string]);
  return (pod) =>
    labels.every(([key, value]) => pod.metadata.labels?.[key] === value) &&
    terms.every((term) => {
      const [, path = "", sign, value] = /^(.*?)(!?=)(.*)$/.exec(term) ?? [];
      const present = path.split(".").reduce<unknown>((at, key) => (isJsonObject(at) ? at[key] : ""), pod);
      return (present === value) === (sign === "=");
    });
}
