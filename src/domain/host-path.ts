/**
 * Where this process finds what the host has at a path: in a container that is
 * elsewhere. Records, answers and what plugins are told hold the host's own
 * paths; only who opens one asks for this.
 */
export type SeenAt = (hostPath: string) => string;

/** On the host itself. */
export const seenInPlace: SeenAt = (hostPath) => hostPath;
