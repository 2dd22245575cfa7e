/** Every released version of the CNI specification, oldest first. */
export const cniVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

export type CniVersion = (typeof cniVersions)[number];

export const newestVersion: CniVersion = "1.1.0";

/** What a configuration or a result without a version means (spec 0.1.0 had no such key). */
export const oldestVersion: CniVersion = "0.1.0";

export function isCniVersion(word: unknown): word is CniVersion {
  return cniVersions.some((version) => version === word);
}

export function isAtLeast(version: CniVersion, other: CniVersion): boolean {
  return cniVersions.indexOf(version) >= cniVersions.indexOf(other);
}

/** The newest of those that podplug speaks; undefined when it speaks none of them. */
export function newestOf(versions: Iterable<string>): CniVersion | undefined {
  const given = new Set(versions);
  return cniVersions.findLast((version) => given.has(version));
}

/** A semantic version without a suffix, which is all that CNI has ever released. */
export function looksLikeVersion(word: string): boolean {
  return /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/.test(word);
}
