/**
 * The kernel's and CNI's rule for an interface name: 1 to 15 bytes, not `.` or
 * `..`, no slash, colon or white space (CNI spec 1.1.0, section 2; libcni
 * utils.ValidateInterfaceName).
 */
export function isInterfaceName(name: string): boolean {
  const bytes = Buffer.byteLength(name);
  return bytes >= 1 && bytes <= 15 && name !== "." && name !== ".." && !/[/:\s\0]/u.test(name);
}

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
