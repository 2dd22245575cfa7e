/*
 * Stands for Kaloom's CNI plugin kactus, whose module Go's module proxy doesn't
 * give any more: what podagent, podplug and a kubelet meet of it, by its source
 * (kactus/main.go). It looks for Networks at the API server and runs their
 * plugins; what it ran for a pod it keeps in `cniDir`, and unplugs from there.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

interface Delegate {
  readonly type: string;
  readonly networkName?: string;
  readonly masterPlugin?: boolean;
}

interface Network {
  readonly name: string;
  readonly ifMac?: string;
}

interface Configuration {
  readonly cniVersion?: string;
  readonly kubeconfig: string;
  readonly cniDir?: string;
  readonly delegates: readonly Delegate[];
}

const { env } = process;
const configuration = JSON.parse(readFileSync(0, "utf8")) as Configuration;
const { cniDir = "/var/lib/cni/kactus" } = configuration;
const kept = join(cniDir, env["CNI_CONTAINERID"] ?? "");
const args = new Map(
  (env["CNI_ARGS"] ?? "").split(";").map((pair) => pair.split("=", 2) as [string, string]),
);

function ask(path: string): unknown {
  const get = ["--kubeconfig", configuration.kubeconfig, "get", "--raw", path];
  return JSON.parse(execFileSync("kubectl", get, { encoding: "utf8" }));
}

/** The one that CNI_ARGS name, else those of the pod's annotation. */
function networksAsked(): readonly Network[] {
  const name = args.get("K8S_POD_NETWORK");
  if (name) return [{ name, ifMac: args.get("K8S_POD_IFMAC") ?? "" }];
  const path = `/api/v1/namespaces/${args.get("K8S_POD_NAMESPACE")}/pods/${args.get("K8S_POD_NAME")}`;
  const { metadata } = ask(path) as { metadata: { annotations?: Record<string, string> } };
  return JSON.parse(metadata.annotations?.["networks"] || "[]") as readonly Network[];
}

function delegateOf({ name }: Network): Delegate {
  const path = `/apis/kaloom.com/v1/namespaces/default/networks/${name}`;
  const { spec } = ask(path) as { spec: { plugin: string; config: string } };
  const { cniVersion } = configuration;
  return {
    type: spec.plugin,
    networkName: name,
    ...(JSON.parse(spec.config) as object),
    ...(cniVersion && { cniVersion }),
  };
}

function interfaceOf({ networkName, masterPlugin }: Delegate): string {
  if (masterPlugin || networkName === undefined) return env["CNI_IFNAME"] ?? "";
  return `net${createHash("md5").update(networkName).digest("hex")}`.slice(0, 15);
}

/** Its answer; throws with what it printed when it fails. */
function runDelegate(command: "ADD" | "DEL", delegate: Delegate, ifMac = ""): string {
  const folders = (env["CNI_PATH"] ?? "").split(":");
  const path = folders.map((folder) => join(folder, delegate.type)).find(existsSync);
  if (path === undefined) throw new Error(`no plugin ${delegate.type} in ${folders.join(", ")}`);
  const macArgs = ifMac === "" ? {} : { CNI_ARGS: `IgnoreUnknown=1;CNI_IFMAC=${ifMac};MAC=${ifMac}` };
  return execFileSync(path, {
    encoding: "utf8",
    input: JSON.stringify({ ...delegate, ...(delegate.masterPlugin && { name: "cluster" }) }),
    env: { ...env, CNI_COMMAND: command, CNI_IFNAME: interfaceOf(delegate), ...macArgs },
  });
}

function read(): readonly Delegate[] {
  return existsSync(kept) ? (JSON.parse(readFileSync(kept, "utf8")) as readonly Delegate[]) : [];
}

function keep(delegates: readonly Delegate[]): void {
  mkdirSync(cniDir, { recursive: true, mode: 0o700 });
  if (delegates.length > 0) writeFileSync(kept, JSON.stringify(delegates), { mode: 0o600 });
  else rmSync(kept, { force: true });
}

function add(): string {
  const isOneOnly = Boolean(args.get("K8S_POD_NETWORK"));
  const own = isOneOnly
    ? []
    : configuration.delegates.map((delegate) => ({
        delegate: { cniVersion: configuration.cniVersion, ...delegate },
        ifMac: "",
      }));
  const asked = networksAsked().map((network) => ({
    delegate: delegateOf(network),
    ifMac: network.ifMac ?? "",
  }));
  const [answer = ""] = [...own, ...asked].map(({ delegate, ifMac }) => runDelegate("ADD", delegate, ifMac));
  const names = new Set(asked.map(({ delegate }) => delegate.networkName));
  const before = read().filter(({ networkName }) => networkName === undefined || !names.has(networkName));
  keep([...[...own, ...asked].map(({ delegate }) => delegate), ...before]);
  return answer;
}

function del(): string {
  const isOneOnly = Boolean(args.get("K8S_POD_NETWORK"));
  const names = new Set(networksAsked().map(({ name }) => name));
  const isAsked = ({ networkName }: Delegate): boolean =>
    networkName === undefined ? !isOneOnly : names.has(networkName);
  const all = read();
  // First, as kactus does it: what fails is forgotten.
  keep(all.filter((delegate) => !isAsked(delegate)));
  for (const delegate of all.filter(isAsked)) runDelegate("DEL", delegate);
  return "";
}

function run(): string {
  switch (env["CNI_COMMAND"]) {
    case "ADD":
      return add();
    case "DEL":
      return del();
    case "VERSION":
      return JSON.stringify({
        cniVersion: "0.4.0",
        supportedVersions: ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0"],
      });
    default:
      throw new Error("not implemented");
  }
}

try {
  process.stdout.write(run());
} catch (error) {
  const msg = error instanceof Error ? error.message : String(error);
  const printed = error instanceof Error && "stdout" in error ? String(error.stdout) : "";
  process.stdout.write(JSON.stringify({ cniVersion: "0.3.1", code: 100, msg, details: printed }));
  process.exitCode = 1;
}
