import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../src/domain/json.ts";

/** The directories, networks and configuration of an agent of a test's own, with Debian's plugins. */
export interface TestNode extends AsyncDisposable {
  readonly root: string;
  readonly stateDir: string;
  readonly socket: string;
  readonly configFile: string;
  readonly bridge: string;
  /** `blue` and `green` (which takes a MAC) are there: bridges with host-local addresses of one pool. */
  defineNetwork(name: string, plugins: readonly JsonObject[], keys?: JsonObject): Promise<void>;
  bridgePlugin(keys?: JsonObject): JsonObject;
  /** The leased addresses. */
  leases(): Promise<readonly string[]>;
  /** The files of the journal, whatever they are. */
  journalFiles(): Promise<readonly string[]>;
}

let made = 0;

export async function makeNode(
  options: { readonly listen?: string; readonly binDirs?: readonly string[]; readonly config?: string } = {},
): Promise<TestNode> {
  const root = await mkdtemp(join(tmpdir(), "podplug-node-"));
  const networks = join(root, "networks.d");
  const stateDir = join(root, "state");
  const socket = join(root, "podplug.sock");
  const configFile = join(root, "podplug.yaml");
  made += 1;
  const bridge = `pp${process.pid % 100_000}-${made}`;
  const pool = join(root, "leases");
  await mkdir(networks);
  await writeFile(
    configFile,
    `runtime: netns
networks: [{ directory: ${networks} }]
api: { socket: ${socket}, listen: "${options.listen ?? ""}", insecure: true }
stateDir: ${stateDir}
cni: { binDirs: [${[...(options.binDirs ?? []), "/usr/lib/cni"].join(", ")}], timeoutSeconds: 20 }
controller: { enabled: false }
log: { level: warn, format: pretty }
${options.config ?? ""}`,
  );

  const bridgePlugin = (keys: JsonObject = {}): JsonObject => ({
    type: "bridge",
    bridge,
    isGateway: true,
    ipam: { type: "host-local", dataDir: pool, ranges: [[{ subnet: "10.66.0.0/16" }]] },
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
    socket,
    configFile,
    bridge,
    defineNetwork,
    bridgePlugin,
    async leases() {
      const files = await readdir(pool, { recursive: true }).catch(() => []);
      return files.filter((file) => /(^|\/)\d+\.\d+\.\d+\.\d+$/.test(file));
    },
    journalFiles: () => readdir(join(stateDir, "results")),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}
