import { createHash } from "node:crypto";

/**
 * The kernel's and CNI's rule for an interface name: 1 to 15 bytes, not `.` or
 * `..`, no slash, colon or white space (CNI spec 1.1.0, section 2; libcni
 * utils.ValidateInterfaceName). No percent sign either: to the kernel `net%d`
 * asks for a name it chooses itself, which no DEL would find again.
 */
export function isInterfaceName(name: string): boolean {
  const bytes = Buffer.byteLength(name);
  return bytes >= 1 && bytes <= 15 && name !== "." && name !== ".." && !/[/:%\s\0]/u.test(name);
}

/** What every runtime calls the interface of a pod's own network. */
export const podInterface = "eth0";

/** CNI's rule for container IDs and network names (spec 1.1.0, section 2). */
export function isCniName(name: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name);
}

/** A Kubernetes object's name or namespace: a DNS-1123 subdomain. */
export function isObjectName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name);
}

/** Multus' form of a generated name, `netN`: the lowest N from 1 that nobody has. */
export function lowestFreeNetName(taken: ReadonlySet<string>): string {
  let ordinal = 1;
  while (taken.has(`net${ordinal}`)) ordinal += 1;
  return `net${ordinal}`;
}

/**
 * Kaloom's form of a generated name: `net` and the first 12 hex digits of the
 * MD5 of the network's name. A second attachment of the same network hashes
 * the name with its ordinal, so that it has a stable name too.
 */
export function hashedNetName(network: string, taken: ReadonlySet<string>): string {
  for (let ordinal = 1; ; ordinal += 1) {
    const hashed = ordinal === 1 ? network : `${network}#${ordinal}`;
    const name = `net${createHash("md5").update(hashed).digest("hex").slice(0, 12)}`;
    if (!taken.has(name)) return name;
  }
}
