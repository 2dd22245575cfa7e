import { isAbsolute } from "node:path";
import { PodplugError } from "../domain/errors.ts";

/** What podagent's command line says (its podagent/main.go, and glog's flags). */
export interface PodagentFlags {
  /** Empty: the pod's own service account. */
  readonly kubeconfig: string;
  readonly nodeName: string;
  readonly runtime: "cri" | "docker";
  /** Of that runtime. */
  readonly socketPath: string;
  readonly cniBinPath: string;
  readonly cniConfPath: string;
  /** Empty: the type of the node's first configuration tells where its plugins are. */
  readonly cniVendorName: string;
  /** glog's level; podagent tells steps from 4 on. */
  readonly verbosity: number;
}

const usage = `Usage: podagent -node NAME [flags]

podplug's agent under the name and with the flags of Kaloom's podagent.

  -node NAME               the node's name, as the kubelet registered it
  -kubeconfig FILE         the way to the API server (default: the pod's service account)
  -container-type TYPE     docker, or crio for any runtime with a CRI socket (default docker)
  -docker-endpoint URL     default unix:///var/run/docker.sock
  -crio-endpoint URL       default unix:///var/run/crio/crio.sock
  -cni-bin-path DIR        where plugins are (default /opt/cni/bin)
  -cni-conf-path DIR       the node's CNI configurations (default /etc/cni/net.d)
  -cni-vendor-name NAME    plugins are looked for in /opt/NAME/cni/bin first
                           (default: in /opt/TYPE/bin, of the first configuration's type)
  -v LEVEL                 4 and more log each step
  -logtostderr, -alsologtostderr, -stderrthreshold
                           taken, and change nothing: all of the log goes there
  -version                 print the version
`;

const defaults = {
  kubeconfig: "",
  node: "",
  "docker-endpoint": "unix:///var/run/docker.sock",
  "crio-endpoint": "unix:///var/run/crio/crio.sock",
  "cni-bin-path": "/opt/cni/bin",
  "cni-conf-path": "/etc/cni/net.d",
  "cni-vendor-name": "",
  "container-type": "docker",
  v: "0",
  stderrthreshold: "",
} as const;
type Key = keyof typeof defaults;

/** Without a value; the log is on standard error already. */
const switches: ReadonlySet<string> = new Set(["logtostderr", "alsologtostderr"]);
/** glog's, for logs in files. */
const unserved: ReadonlySet<string> = new Set(["log_dir", "log_backtrace_at", "vmodule"]);

/** What a command line asks to be told instead of running anything. */
export function podagentAnswer(args: readonly string[], version: string): string | undefined {
  if (args.some((arg) => /^--?(h|help)$/.test(arg))) return usage;
  return args.some((arg) => /^--?version(=true)?$/.test(arg)) ? `${version}\n` : undefined;
}

/**
 * Reads them as Go's flag package does: one dash or two, a value after `=` or
 * as the next argument, the last one counts. INVALID_CONFIGURATION tells every
 * fault.
 */
export function readPodagentFlags(args: readonly string[]): PodagentFlags {
  const values: Record<Key, string> = { ...defaults };
  const faults: string[] = [];
  const rest = [...args];
  while (rest.length > 0) {
    const arg = rest.shift() ?? "";
    const [, name = "", given] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (switches.has(name)) continue;
    if (isKey(name)) {
      const value = given ?? rest.shift();
      if (value === undefined) faults.push(`-${name}: its value is missing`);
      else values[name] = value;
    } else if (unserved.has(name)) {
      faults.push(`-${name}: podplug logs on standard error alone; leave it out`);
      if (given === undefined) rest.shift();
    } else {
      faults.push(name === "" ? `${arg}: isn't a flag` : `-${name}: podagent has no such flag`);
    }
  }
  const flags = flagsFrom(values, faults);
  if (faults.length > 0) {
    throw new PodplugError("INVALID_CONFIGURATION", `podagent's flags can't be used: ${faults.join("; ")}`, {
      details: faults.join("\n"),
    });
  }
  return flags;
}

function flagsFrom(values: Readonly<Record<Key, string>>, faults: string[]): PodagentFlags {
  const expect = (holds: boolean, key: Key, fault: string): void => {
    if (!holds) faults.push(`-${key}: ${fault}`);
  };
  expect(values.node !== "", "node", "give the node's name as the kubelet registered it");
  const type = values["container-type"];
  expect(["docker", "crio"].includes(type), "container-type", `must be crio or docker, not ${type}`);
  const endpoint = type === "crio" ? "crio-endpoint" : "docker-endpoint";
  const socketPath = values[endpoint].replace(/^unix:\/\//, "");
  expect(isAbsolute(socketPath), endpoint, "must be a Unix socket, such as unix:///run/a.sock");
  for (const key of ["cni-bin-path", "cni-conf-path"] as const) {
    expect(isAbsolute(values[key]), key, "must be an absolute path");
  }
  const vendor = values["cni-vendor-name"];
  // It becomes a folder's name: nothing may lead out of /opt.
  expect(!/[/\0]|^\.\.?$/.test(vendor), "cni-vendor-name", "must be a folder's name below /opt");
  expect(/^\d{1,4}$/.test(values.v), "v", "must be a number");
  return {
    kubeconfig: values.kubeconfig,
    nodeName: values.node,
    runtime: type === "crio" ? "cri" : "docker",
    socketPath,
    cniBinPath: values["cni-bin-path"],
    cniConfPath: values["cni-conf-path"],
    cniVendorName: vendor,
    verbosity: Number(values.v),
  };
}

function isKey(name: string): name is Key {
  return Object.hasOwn(defaults, name);
}
