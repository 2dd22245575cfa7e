/**
 * Where this process finds what the host has at a path: in a container that is
 * elsewhere. Records, answers and what plugins are told hold the host's own
 * paths; only who opens one asks for this.
 */
export type SeenAt = (hostPath: string) => string;

export interface HostPaths extends SeenAt {
  /** The same without holding up this thread: for a caller's path, which may lead to a file system that doesn't answer. */
  patiently(hostPath: string): Promise<string>;
}

/** On the host itself. */
export const seenInPlace: HostPaths = Object.assign((hostPath: string) => hostPath, {
  patiently: (hostPath: string) => Promise.resolve(hostPath),
});
