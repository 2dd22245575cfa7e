import { readFileSync } from "node:fs";

/** USER_HZ, the unit of /proc's CPU times on every architecture that Node runs on. */
const ticksPerSecond = 100;
const pageBytes = 4096;

export interface ProcessUsage {
  /** CPU time of the process itself, since it began. */
  readonly ownMs: number;
  /** CPU time of its children that have ended. */
  readonly childrenMs: number;
  readonly residentBytes: number;
}

/** As proc(5) has it in /proc/PID/stat. */
export function usageOf(pid: number): ProcessUsage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The program's name comes before, in parentheses, and may hold anything.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
  return {
    ownMs: ((user + system) * 1000) / ticksPerSecond,
    childrenMs: ((childUser + childSystem) * 1000) / ticksPerSecond,
    residentBytes: (fields[21] ?? 0) * pageBytes,
  };
}
