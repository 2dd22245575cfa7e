import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { agentMarkerPrefix } from "../../src/cni/run-marker.ts";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";

const execute = promisify(execFile);

/** The directories, networks and configuration of an agent of a test's own, with Debian's plugins. */
export interface TestNode extends AsyncDisposable {
  readonly root: string;
  readonly stateDir: string;
  /** Where the networks' files lie. */
  readonly networks: string;
  readonly socket: string;
  readonly configFile: string;
  readonly bridge: string;
  /** Where the pods' addresses are from. */
  readonly subnet: string;
  /** The bridge's own address, which pods have as their gateway. */
  readonly gateway: string;
  /** `blue` and `green` (which takes a MAC) are there: bridges with host-local addresses of one pool. */
  defineNetwork(name: string, plugins: readonly JsonObject[], keys?: JsonObject): Promise<void>;
  bridgePlugin(keys?: JsonObject): JsonObject;
  /** The leased addresses. */
  leases(): Promise<readonly string[]>;
  /** The files of the journal, whatever they are. */
  journalFiles(): Promise<readonly string[]>;
  /** The ends of pods' links on the bridge; none while there is no bridge yet. */
  hostEnds(): Promise<readonly string[]>;
  /** What the run markers of this node's agents begin with, once one has started. */
  markerPrefix(): Promise<string>;
}

export interface TestNodeOptions {
  readonly listen?: string;
  readonly binDirs?: readonly string[];
  /** Keys of the configuration; a section's are put beside its others. */
  readonly config?: JsonObject;
}

let made = 0;

export async function makeNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const root = await mkdtemp(join(tmpdir(), "podplug-node-"));
  const networks = join(root, "networks.d");
  const stateDir = join(root, "state");
  const socket = join(root, "podplug.sock");
  const configFile = join(root, "podplug.yaml");
  made += 1;
  const bridge = `pp${process.pid % 100_000}-${made}`;
  const { subnet, gateway } = subnetOf(process.pid, made);
  const pool = join(root, "leases");
  await mkdir(networks);

  const config: JsonObject = {
    runtime: "netns",
    networks: [{ directory: networks }],
    api: { socket, listen: options.listen ?? "", insecure: true },
    stateDir,
    cni: { binDirs: [...(options.binDirs ?? []), "/usr/lib/cni"], timeoutSeconds: 20 },
    ops: { listen: "127.0.0.1:0", controllerListen: "127.0.0.1:0" },
    controller: { enabled: false },
    log: { level: "warn", format: "pretty" },
  };
  await writeFile(configFile, JSON.stringify(withSections(config, options.config), null, 2));

  const bridgePlugin = (keys: JsonObject = {}): JsonObject => ({
    type: "bridge",
    bridge,
    isGateway: true,
    ipam: { type: "host-local", dataDir: pool, ranges: [[{ subnet }]] },
    ...keys,
  });
  const defineNetwork: TestNode["defineNetwork"] = async (name, plugins, keys = {}) => {
    const list = { cniVersion: "1.0.0", name, plugins, ...keys };
    await writeFile(join(networks, `${name}.conflist`), JSON.stringify(list));
  };
  await defineNetwork("blue", [bridgePlugin()]);
  await defineNetwork("green", [bridgePlugin({ capabilities: { mac: true } })]);

  return {
    root,
    stateDir,
    networks,
    socket,
    configFile,
    bridge,
    subnet,
    gateway,
    defineNetwork,
    bridgePlugin,
    async leases() {
      const files = await readdir(pool, { recursive: true }).catch(() => []);
      return files.filter((file) => isIP(basename(file)) !== 0);
    },
    journalFiles: () => readdir(join(stateDir, "results")),
    hostEnds: () => readdir(join("/sys/class/net", bridge, "brif")).catch(() => []),
    async markerPrefix() {
      const { dev, ino } = await stat(stateDir, { bigint: true });
      return agentMarkerPrefix(`${dev}-${ino}`);
    },
    async [Symbol.asyncDispose]() {
      await execute("ip", ["link", "delete", bridge]).catch(() => {});
      await rm(root, { recursive: true, force: true });
    },
  };
}

function withSections(config: JsonObject, changes: JsonObject = {}): JsonObject {
  const changed = Object.entries(changes).map(([key, value]) => {
    const before = config[key];
    return [key, isJsonObject(before) && isJsonObject(value) ? { ...before, ...value } : value] as const;
  });
  return { ...config, ...Object.fromEntries(changed) };
}

/** Of 62 addresses, unlike those of other nodes of the run: two bridges of one subnet take each other's answers. */
function subnetOf(process: number, node: number): { readonly subnet: string; readonly gateway: string } {
  const first = ((process % 16_384) * 16 + (node % 16)) * 64;
  const base = `10.${first >> 16}.${(first >> 8) & 255}`;
  return { subnet: `${base}.${first & 255}/26`, gateway: `${base}.${(first & 255) + 1}` };
}
