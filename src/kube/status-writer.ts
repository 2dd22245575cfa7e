import { PodplugError } from "../domain/errors.ts";
import type { Pod } from "../domain/pod.ts";
import { annotationPatch } from "./annotation-patch.ts";
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

  async function patch(
    request: StatusWrite,
    resourceVersion: string,
    signal: AbortSignal,
  ): Promise<ApiAnswer> {
    const { pod, before, text } = request;
    const body = annotationPatch({
      annotation: networkStatusAnnotation,
      uid: pod.uid,
      resourceVersion,
      before,
      text,
    });
    return await client.call(
      {
        method: "PATCH",
        path: `${podPath(request)}/status`,
        accept,
        body,
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
