/** What is to be written to one annotation of an object, and what it is written over. */
export interface AnnotationWrite {
  readonly annotation: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** The text that `text` was made from; absent when there was none. */
  readonly before: string | undefined;
  readonly text: string;
}

/**
 * With an earlier text, that text is the guard: other changes of the object
 * don't matter. Without one there may be no annotations at all, where a JSON
 * patch has nothing to test: the object's version is the guard.
 */
export function annotationPatch({ annotation, uid, resourceVersion, before, text }: AnnotationWrite): {
  readonly type: string;
  readonly content: unknown;
} {
  if (before === undefined) {
    const annotations = { [annotation]: text };
    return {
      type: "application/merge-patch+json",
      content: { metadata: { uid, resourceVersion, annotations } },
    };
  }
  const path = `/metadata/annotations/${annotation.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  return {
    type: "application/json-patch+json",
    content: [
      { op: "test", path: "/metadata/uid", value: uid },
      { op: "test", path, value: before },
      { op: "replace", path, value: text },
    ],
  };
}
