/** What can be done to the networks that a pod's annotation asks for. */
export const annotationEdits = ["add", "del"] as const;
export type AnnotationEdit = (typeof annotationEdits)[number];
