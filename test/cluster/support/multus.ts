import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Cluster, eventually, run } from "./cluster.ts";
import { podManifest, readyPod } from "./pods.ts";

/** Where a program in a pod finds its service account, and Multus's daemon looks for it. */
const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

export interface DelegateResult {
  readonly interfaces: readonly { readonly name: string; readonly mac?: string }[];
  readonly ips: readonly { readonly address: string }[];
}

export interface Multus extends AsyncDisposable {
  readonly socketPath: string;
  /** Ends the daemon and starts it anew. */
  stopDaemon(): Promise<void>;
  /** Asks it as multus-dynamic-networks-controller does, and gives the ADD's result. */
  delegate(request: object): Promise<DelegateResult>;
  startDaemon(): Promise<void>;
}

/**
 * Multus's thick plugin as the node's CNI: pods that are created from now on
 * get the networks of their annotation from it, around the cluster's own.
 * Disposing of it makes the cluster's network the node's CNI again.
 */
export async function startMultus(cluster: Cluster): Promise<Multus> {
  await using cleanup = new AsyncDisposableStack();
  const folder = await cluster.makeFolder();
  const shim = join(cluster.cni.binDir, "multus-shim");
  await symlink((await run("which", ["multus-shim"])).trim(), shim);
  cleanup.defer(() => rm(shim));
  await giveAccount(cluster);
  cleanup.defer(() => rm(accountFolder, { recursive: true }));

  // The daemon empties this one when it starts.
  const sockets = join(folder, "sockets");
  const config = join(folder, "daemon-config.json");
  await writeFile(
    config,
    JSON.stringify({
      cniVersion: "1.0.0",
      logLevel: "verbose",
      logToStderr: true,
      binDir: cluster.cni.binDir,
      cniConfigDir: cluster.cni.confDir,
      multusAutoconfigDir: cluster.cni.confDir,
      multusConfigFile: "auto",
      socketDir: sockets,
      daemonSocketDir: sockets,
    }),
  );
  const log = await open(join(cluster.logFolder, "multus-daemon.log"), "w");
  cleanup.defer(() => log.close());
  const socketPath = join(sockets, "multus.sock");
  let daemon: ChildProcess | undefined;

  async function startDaemon(): Promise<void> {
    daemon = spawn("multus-daemon", ["-config", config], {
      stdio: ["ignore", log.fd, log.fd],
      env: {
        PATH: process.env["PATH"],
        MULTUS_NODE_NAME: cluster.nodeName,
        KUBERNETES_SERVICE_HOST: "10.96.0.1",
        KUBERNETES_SERVICE_PORT: "443",
      },
    });
    await eventually("multus-daemon is healthy", () =>
      run("curl", ["-fsS", "--unix-socket", socketPath, "http://localhost/healthz"]),
    );
  }
  async function stopDaemon(): Promise<void> {
    if (daemon) await end(daemon);
    daemon = undefined;
  }
  cleanup.defer(stopDaemon);
  await startDaemon();
  // It writes this itself, ahead of the cluster's own in the order of names.
  const autoconfig = join(cluster.cni.confDir, "00-multus.conf");
  cleanup.defer(() => rm(autoconfig, { force: true }));
  await eventually("Multus's configuration", () => stat(autoconfig));
  await runtimeTurnsTo(cluster);
  async function delegate(request: object): Promise<DelegateResult> {
    const to = ["--unix-socket", socketPath, "http://localhost/delegate"];
    const answer = await run("curl", ["-fsS", "--data-binary", "@-", ...to], JSON.stringify(request));
    return (JSON.parse(answer) as { readonly Result: DelegateResult }).Result;
  }
  const held = cleanup.move();
  return { socketPath, startDaemon, stopDaemon, delegate, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** The runtime tells nobody which configuration it has read: a pod does, by the network-status that it is given. */
async function runtimeTurnsTo(cluster: Cluster): Promise<void> {
  await using namespace = await cluster.makeNamespace();
  let pods = 0;
  await eventually("Multus is the runtime's CNI", async () => {
    pods += 1;
    await cluster.apply(podManifest(namespace.name, `probe-${pods}`));
    const { metadata } = await readyPod(cluster, namespace.name, `probe-${pods}`);
    return metadata.annotations?.["k8s.v1.cni.cncf.io/network-status"];
  });
}

async function giveAccount(cluster: Cluster): Promise<void> {
  const name = "multus";
  const namespace = "kube-system";
  await cluster.apply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
  );
  const token = await cluster.kubectl("-n", namespace, "create", "token", name);
  await mkdir(accountFolder, { recursive: true });
  await writeFile(join(accountFolder, "token"), token.trim());
  await run("cp", [cluster.apiServer.caPath, join(accountFolder, "ca.crt")]);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
