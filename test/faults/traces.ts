import { readdir, readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { basename, join } from "node:path";

/** A record that says attached. */
export interface WholeRecord {
  /** `SANDBOX INTERFACE ADDRESS`, the sandbox by the name that the test gives it. */
  readonly line: string;
  readonly sandbox: string;
  readonly ifName: string;
  readonly networkName: string;
  readonly takesDefaultRoute: boolean;
}

interface RecordFile {
  readonly kind: string;
  readonly containerId: string;
  readonly ifName: string;
  readonly networkName: string;
  readonly result?: { readonly ips?: readonly { readonly address: string }[] };
  readonly podplug: {
    readonly state: string;
    readonly selection: { readonly defaultRoute?: object };
  };
}

/** The names of sandboxes, by their IDs. */
type Names = ReadonlyMap<string, string>;

/** The journal's records as its files have them: those that say attached, and the others as `SANDBOX INTERFACE STATE`. */
export async function readRecords(
  directory: string,
  names: Names,
): Promise<{ readonly whole: readonly WholeRecord[]; readonly others: readonly string[] }> {
  const texts = await readAll(directory, await readdir(directory));
  const whole: WholeRecord[] = [];
  const others: string[] = [];
  for (const { text } of texts) {
    const { kind, containerId, ifName, networkName, result, podplug } = JSON.parse(text) as RecordFile;
    const sandbox = names.get(containerId) ?? containerId;
    if (kind === "cniCacheV1" && podplug.state === "attached") {
      const [ip] = result?.ips ?? [];
      const line = [sandbox, ifName, ip?.address.split("/")[0] ?? ""].join(" ");
      const takesDefaultRoute = podplug.selection.defaultRoute !== undefined;
      whole.push({ line, sandbox, ifName, networkName, takesDefaultRoute });
    } else {
      others.push([sandbox, ifName, podplug.state].join(" "));
    }
  }
  return { whole, others };
}

/** host-local's leases of all networks, each as `SANDBOX INTERFACE ADDRESS`. */
export async function readLeases(directory: string, names: Names): Promise<readonly string[]> {
  const files = await readdir(directory, { recursive: true }).catch(() => []);
  const leases = await readAll(
    directory,
    files.filter((file) => isIP(basename(file)) !== 0),
  );
  return leases.map(({ file, text }) => {
    const [id = "", ifName = ""] = text.split(/\r?\n/);
    return [names.get(id) ?? id, ifName, basename(file)].join(" ");
  });
}

/** Without those that are gone, or not yet written, by the time they are read. */
async function readAll(directory: string, files: readonly string[]) {
  const read = await Promise.all(
    files.map(async (file) => ({
      file,
      text: await readFile(join(directory, file), "utf8").catch(() => ""),
    })),
  );
  return read.filter(({ file, text }) => text !== "" && !file.endsWith(".tmp"));
}
