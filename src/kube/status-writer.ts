import { PodplugError } from "../domain/errors.ts";
import type { Pod } from "../domain/pod.ts";
import type { ApiClient } from "./api-client.ts";
import { type ApiAnswer, refusalError } from "./api-errors.ts";
import {
  networkStatusAnnotation,
  type PodStatusWriter,
  type StatusAnswer,
  type StatusWrite,
} from "./contract.ts";
import { podFrom } from "./metadata.ts";
import type { OwnWrites } from "./own-writes.ts";

const accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
const annotationPath = `/metadata/annotations/${networkStatusAnnotation.replaceAll("/", "~1")}`;
/** Kubelet writes a starting pod's status in quick succession. */
const maxTries = 5;

export function createPodStatusWriter({
  client,
  ownWrites,
}: {
  readonly client: ApiClient;
  readonly ownWrites: OwnWrites;
}): PodStatusWriter {
  async function read(request: StatusWrite, signal: AbortSignal): Promise<Pod | undefined> {
    const { namespace, name, uid } = request.pod;
    const doing = `reading pod ${namespace}/${name}`;
    const { status, body } = await client.call(
      { path: podPath(request), accept, doing, expected: [404] },
      signal,
    );
    if (status === 404) return undefined;
    const pod = podFrom(body, "all");
    return pod.uid === uid ? pod : undefined;
  }

  async function patch(request: StatusWrite, version: string, signal: AbortSignal): Promise<ApiAnswer> {
    return await client.call(
      {
        method: "PATCH",
        path: `${podPath(request)}/status`,
        accept,
        body: patchOf(request, version),
        doing: doingOf(request),
        expected: [404, 409, 422],
      },
      signal,
    );
  }

  return {
    async write(request, signal): Promise<StatusAnswer> {
      let { resourceVersion } = request.pod;
      ownWrites.note(request.pod.uid, request.text);
      for (let tries = 1; ; tries += 1) {
        const answer = await patch(request, resourceVersion, signal);
        if (answer.status === 404) return { kind: "gone" };
        if (answer.status < 300) return { kind: "written", pod: podFrom(answer.body, "all") };
        const pod = await read(request, signal);
        if (pod === undefined) return { kind: "gone" };
        const status = pod.annotations[networkStatusAnnotation];
        if (status === request.text) return { kind: "written", pod };
        if (status !== request.before) return { kind: "conflict", pod };
        // The annotation is as it was: something else of the pod changed, or the text itself is refused.
        if (answer.status === 422) throw refusalError(answer, doingOf(request));
        if (tries === maxTries) {
          throw new PodplugError("UNREACHABLE", `${doingOf(request)}: the pod changes too often`);
        }
        ({ resourceVersion } = pod);
      }
    },
  };
}

function podPath({ pod: { namespace, name } }: StatusWrite): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
}

function doingOf({ pod: { namespace, name } }: StatusWrite): string {
  return `writing the network-status of pod ${namespace}/${name}`;
}

/**
 * With an earlier text, that text is the guard: kubelet's own writes to the
 * pod don't matter. Without one there may be no annotations at all, where a
 * JSON patch has nothing to test: the pod's version is the guard.
 */
function patchOf(
  { pod: { uid }, before, text }: StatusWrite,
  resourceVersion: string,
): { readonly type: string; readonly content: unknown } {
  if (before === undefined) {
    const annotations = { [networkStatusAnnotation]: text };
    return {
      type: "application/merge-patch+json",
      content: { metadata: { uid, resourceVersion, annotations } },
    };
  }
  return {
    type: "application/json-patch+json",
    content: [
      { op: "test", path: "/metadata/uid", value: uid },
      { op: "test", path: annotationPath, value: before },
      { op: "replace", path: annotationPath, value: text },
    ],
  };
}
