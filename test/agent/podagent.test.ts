import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { podagentConfig } from "../../src/agent/podagent-config.ts";
import { readPodagentFlags } from "../../src/agent/podagent-flags.ts";
import { type Config, parseConfig, refuseContradictions } from "../../src/config.ts";
import { root } from "../client/cli-process.ts";
import { run } from "../server/started-server.ts";
import { failure } from "../support/failure.ts";

async function makeConfDir(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "podplug-podagent-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return directory;
}

const kactus = JSON.stringify({ cniVersion: "0.3.1", name: "cbr0", type: "kactus", delegates: [] });
const bridge = JSON.stringify({ cniVersion: "1.0.0", name: "own", plugins: [{ type: "bridge" }] });

async function configOf(...args: readonly string[]): Promise<Config> {
  const config = parseConfig(await podagentConfig(readPodagentFlags(args)), "podagent's flags");
  refuseContradictions(config);
  return config;
}

test("podagent's own defaults are understood: Docker, its service account, the first configuration's type", async () => {
  const confDir = await makeConfDir({ "00-kactus.conf": kactus, "10-own.conflist": bridge });
  const config = await configOf("-node", "node-1", "-cni-conf-path", confDir);
  expect(config).toMatchObject({
    nodeName: "node-1",
    runtime: "docker",
    dockerSocketPath: "/var/run/docker.sock",
    networks: ["kaloom"],
    executor: "kactus",
    cni: { binDirs: ["/opt/kactus/bin", "/opt/cni/bin"], confDir },
    stateDir: "/var/lib/cni/podplug",
    controller: { enabled: true, kubeconfig: "", annotations: ["kaloom"] },
    log: { level: "info" },
  });
});

test("the arguments of podagent's manifest for CRI-O are understood, and its vendor's plugins come first", async () => {
  const confDir = await makeConfDir({ "00-kactus.conf": kactus });
  const manifest = "-logtostderr -container-type crio -cni-vendor-name kaloom".split(" ");
  expect(await configOf("-node", "node-1", ...manifest, `-cni-conf-path=${confDir}`)).toMatchObject({
    runtime: "cri",
    criSocketPath: "/var/run/crio/crio.sock",
    cni: { binDirs: ["/opt/kaloom/cni/bin", "/opt/cni/bin"] },
  });
});

test("flags have one dash or two, their value after = or as the next argument, and the last one counts", async () => {
  const confDir = await makeConfDir();
  const written =
    "--node=a=b -kubeconfig /opt/kaloom/etc/first.yaml --kubeconfig /opt/kaloom/etc/k.yaml --container-type crio -crio-endpoint /run/containerd/containerd.sock -cni-bin-path=/opt/plugins -v=4 --stderrthreshold INFO";
  const config = await configOf(...written.split(" "), "--cni-conf-path", confDir);
  expect(config).toMatchObject({
    nodeName: "a=b",
    criSocketPath: "/run/containerd/containerd.sock",
    cni: { binDirs: ["/opt/plugins"] },
    controller: { kubeconfig: "/opt/kaloom/etc/k.yaml" },
    log: { level: "debug" },
  });
});

test("where the node's first configuration isn't kactus's, podplug runs the plugins itself", async () => {
  const own = await makeConfDir({ "00-own.conflist": bridge, "10-kactus.conf": kactus });
  expect(await configOf("-node", "a", "-cni-conf-path", own)).toMatchObject({
    executor: "direct",
    cni: { binDirs: ["/opt/bridge/bin", "/opt/cni/bin"] },
  });
  expect(await configOf("-node", "a", "-cni-conf-path", join(own, "nowhere"))).toMatchObject({
    executor: "direct",
  });
});

test("a first configuration that can't be read is told by its name", async () => {
  const confDir = await makeConfDir({ "00-kactus.conf": "{" });
  await expect(configOf("-node", "a", "-cni-conf-path", confDir)).rejects.toEqual(
    failure("INVALID_NETWORK", "00-kactus.conf"),
  );
});

test.each([
  [["-kubeconfig", "/k"], "-node: "],
  [["-node"], "-node: its value is missing"],
  [["-node", "a", "-container-type", "rkt"], "-container-type: must be crio or docker, not rkt"],
  [["-node", "a", "-docker-endpoint", "tcp://1.2.3.4:2375"], "-docker-endpoint: must be a Unix socket"],
  [["-node", "a", "-cni-bin-path", "bin"], "-cni-bin-path: must be an absolute path"],
  [["-node", "a", "-cni-vendor-name", "../etc"], "-cni-vendor-name: must be a folder's name"],
  [["-node", "a", "-log_dir", "/var/log"], "-log_dir: podplug logs on standard error alone"],
  [["-node", "a", "-frob=1"], "-frob: podagent has no such flag"],
  [["-node", "a", "more"], "more: isn't a flag"],
  [["-node", "a", "-v", "high"], "-v: must be a number"],
])("%j is refused: %s", (args, fault) => {
  expect(() => readPodagentFlags(args)).toThrow(failure("INVALID_CONFIGURATION", fault));
});

test("bin/podagent, through a link as well, tells every fault at once and its usage", async () => {
  const directory = await makeConfDir();
  await symlink(join(root, "bin/podagent"), join(directory, "podagent"));
  const podagent = (...args: string[]) => run(join(directory, "podagent"), args, directory);
  const refused = await podagent("-container-type", "rkt", "-frob");
  expect(refused.code).toBe(2);
  for (const fault of ["-frob: ", "-node: ", "-container-type: "]) expect(refused.stderr).toContain(fault);
  expect(await podagent("--help")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("-cni-vendor-name"),
  });
  expect(await podagent("-version")).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
});
