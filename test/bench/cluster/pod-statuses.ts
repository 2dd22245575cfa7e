import { isJsonObject } from "../../../src/domain/json.ts";
import { unlessAborted } from "../../../src/domain/signals.ts";
import type { ApiClient } from "../../../src/kube/api-client.ts";
import { networkStatusAnnotation } from "../../../src/kube/contract.ts";

/** When network-status says or no longer says an interface, as a watch on the API server hears it. */
export interface PodStatuses extends AsyncDisposable {
  /** On `performance`'s clock; ask before the cause. */
  next(pod: string, ifName: string, isThere: boolean): Promise<number>;
}

export async function followStatuses(client: ApiClient, namespace: string): Promise<PodStatuses> {
  const stopped = new AbortController();
  const waiting = new Map<string, { readonly holds: (text: string) => boolean; resolve(at: number): void }>();
  const accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
  const opened = Promise.withResolvers<void>();
  const following = client
    .follow(
      { path: `/api/v1/namespaces/${namespace}/pods?watch=true`, accept, doing: "watching pods" },
      (line) => {
        const at = performance.now();
        opened.resolve();
        const { name, status } = podIn(line);
        const wait = waiting.get(name);
        if (!wait?.holds(status)) return;
        waiting.delete(name);
        wait.resolve(at);
      },
      stopped.signal,
    )
    .catch((error: unknown) => {
      if (!stopped.signal.aborted) throw error;
    });
  await Promise.race([opened.promise, following]);

  return {
    async next(pod, ifName, isThere) {
      const { promise, resolve } = Promise.withResolvers<number>();
      waiting.set(pod, { holds: (text) => text.includes(`"${ifName}"`) === isThere, resolve });
      return await unlessAborted(promise, AbortSignal.timeout(30_000), `waiting for the status of ${pod}`);
    },
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await following;
    },
  };
}

function podIn(line: string): { readonly name: string; readonly status: string } {
  const { object } = JSON.parse(line) as { readonly object: unknown };
  const metadata = isJsonObject(object) ? object["metadata"] : undefined;
  if (!isJsonObject(metadata)) throw new Error(`not a pod: ${line.slice(0, 200)}`);
  const { name, annotations } = metadata;
  const status = isJsonObject(annotations) ? annotations[networkStatusAnnotation] : "";
  return { name: typeof name === "string" ? name : "", status: typeof status === "string" ? status : "" };
}
