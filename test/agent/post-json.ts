import { request } from "node:http";
import { text } from "node:stream/consumers";

export interface JsonAnswer {
  readonly status: number | undefined;
  readonly body: {
    readonly code?: string;
    readonly message?: string;
    readonly details?: readonly { readonly type: string; readonly debug?: Record<string, unknown> }[];
  } & Readonly<Record<string, unknown>>;
}

/** What `curl --unix-socket … -H 'content-type: application/json' -d BODY` does, by HTTP/1.1. */
export async function postJson(socket: string, method: string, body: unknown): Promise<JsonAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<JsonAnswer>();
  const sent = request({
    socketPath: socket,
    path: `/podplug.v1.NodeService/${method}`,
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  sent.once("error", reject);
  sent.once("response", (response) => {
    text(response).then(
      (answer) => resolve({ status: response.statusCode, body: JSON.parse(answer) }),
      reject,
    );
  });
  sent.end(JSON.stringify(body));
  return await promise;
}
