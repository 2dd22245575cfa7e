import type { Wanted } from "../wanted.ts";

/** Reads one pod annotation that names networks. */
export interface AnnotationReader {
  /** The annotation's name. */
  readonly annotation: string;
  /** Who owns the attachments that it asks for. */
  readonly owner: string;
  /** Everybody who plugs by this annotation names interfaces alike: a link's name tells what it is, where nothing else does. */
  readonly namesTell: boolean;
  /** Never throws; an absent or empty annotation is an empty list. */
  read(text: string | undefined, podNamespace: string): Wanted;
}
