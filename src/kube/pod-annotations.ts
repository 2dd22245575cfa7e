import { PodplugError } from "../domain/errors.ts";
import { annotationPatch } from "./annotation-patch.ts";
import type { ApiCall, ApiClient } from "./api-client.ts";

import { type ApiAnswer, refusalError } from "./api-errors.ts";
import type { ObjectKey } from "./cluster-contract.ts";
import { metadataOf, resourceVersionOf, stringsOf } from "./metadata.ts";

const accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
/** Two who edit one annotation at a time need two; a starting pod's status changes in quick succession. */
const maxTries = 10;

/** What an annotation becomes; `undefined` leaves it as it is. */
type AnnotationEdit = (text: string | undefined) => string | undefined;

/** Reads a pod's annotations and edits one of them, and nothing else of it. */
export interface PodAnnotations {
  /** TARGET_NOT_FOUND without such a pod. */
  read(pod: ObjectKey, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /**
   * Writes what `edit` makes of the annotation's text. Whoever changes it
   * meanwhile wins: `edit` is asked again with what they wrote. Answers whether
   * anything was written. TARGET_NOT_FOUND; what `edit` throws.
   */
  edit(pod: ObjectKey, annotation: string, edit: AnnotationEdit, signal: AbortSignal): Promise<boolean>;
}

interface PodNow {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export function createPodAnnotations({ client }: { readonly client: ApiClient }): PodAnnotations {
  async function read(pod: ObjectKey, signal: AbortSignal): Promise<PodNow> {
    const call = {
      path: podPath(pod),
      accept,
      doing: `reading pod ${pod.namespace}/${pod.name}`,
      expected: [404],
    };
    const { status, body } = await client.call(call, signal);
    if (status === 404) {
      throw new PodplugError("TARGET_NOT_FOUND", `there is no pod ${pod.namespace}/${pod.name}`);
    }
    const { uid = "" } = stringsOf(metadataOf(body));
    return {
      uid,
      resourceVersion: resourceVersionOf(body),
      annotations: stringsOf(metadataOf(body)["annotations"]),
    };
  }

  async function write(
    pod: ObjectKey,
    body: NonNullable<ApiCall["body"]>,
    doing: string,
    signal: AbortSignal,
  ): Promise<ApiAnswer> {
    return client.call(
      { method: "PATCH", path: podPath(pod), accept, body, doing, expected: [404, 409, 422] },
      signal,
    );
  }

  return {
    async read(pod, signal) {
      return (await read(pod, signal)).annotations;
    },
    async edit(pod, annotation, edit, signal) {
      const doing = `editing ${annotation} of pod ${pod.namespace}/${pod.name}`;
      for (let tries = 1; tries <= maxTries; tries += 1) {
        const now = await read(pod, signal);
        const before = now.annotations[annotation];
        const text = edit(before);
        if (text === undefined || text === before) return false;
        const answer = await write(pod, annotationPatch({ ...now, annotation, before, text }), doing, signal);
        if (answer.status < 300) return true;
        // The patch's own tests fail with 422, and so does a text that is refused.
        const after = answer.status === 422 ? await read(pod, signal) : undefined;
        if (after?.uid === now.uid && after.annotations[annotation] === before)
          throw refusalError(answer, doing, "user");
      }
      throw new PodplugError("UNREACHABLE", `${doing}: the pod changes too often`);
    },
  };
}

function podPath({ namespace, name }: ObjectKey): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
}
