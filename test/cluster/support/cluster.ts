import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

/** The one-node Kubernetes that `make test-cluster` runs the tests in. */
export interface Cluster {
  readonly nodeName: "lab";
  readonly nodeAddress: "10.249.0.1";
  /** A link of the node with nothing behind it, to be the parent of macvlans. */
  readonly uplink: "uplink0";
  /** Of an administrator. What podplug runs with is `agentKubeconfig()`. */
  readonly kubeconfigPath: string;
  readonly apiServer: { readonly url: "https://127.0.0.1:443"; readonly caPath: string };
  readonly criSocketPath: "/run/containerd/containerd.sock";
  /** An archive of the pods' images. */
  readonly imagesPath: string;
  /** Outlives the cluster. */
  readonly logFolder: string;
  /** Of everything that runs in the cluster: what is made below it is removed with it. */
  cgroup(): Promise<string>;
  readonly cni: {
    /** containernetworking/plugins, built for the cluster. */
    readonly binDir: string;
    /** The node's configurations: `10-cluster.conflist`, network `cluster`. */
    readonly confDir: string;
    /** Where the cluster's network keeps its leases: a folder per network, a file per address. */
    readonly leasesDir: string;
  };
  /** A folder of the node for a test's own state; gone with the cluster. */
  makeFolder(): Promise<string>;
  /** Runs `kubectl` as an administrator and answers its standard output. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** The same with `-o json`, parsed. */
  kubectlJson<T>(...args: readonly string[]): Promise<T>;
  /** `kubectl apply`, of one or more objects. */
  apply(...manifests: readonly object[]): Promise<void>;
  /** A namespace with a default service account; disposing of it deletes it with all its pods. */
  makeNamespace(): Promise<TestNamespace>;
  /** A kubeconfig with a token of podplug's own service account (deploy/rbac.yaml), and the token, bound to the node or to nothing. */
  agentKubeconfig(boundTo?: "its node"): Promise<{ readonly path: string; readonly token: string }>;
  /** The same of any service account, by its namespace and name; `options` are those of `kubectl create token`. */
  kubeconfigOf(
    namespace: string,
    account: string,
    ...options: readonly string[]
  ): Promise<{ readonly path: string; readonly token: string }>;
  /** A kubeconfig file with that token. */
  kubeconfigWith(token: string): Promise<string>;
}

export interface TestNamespace extends AsyncDisposable {
  readonly name: string;
}

const folder = "/run/podplug-cluster";

/** @throws outside the cluster's namespaces */
export function useCluster(): Cluster {
  if (process.env["PODPLUG_CLUSTER"] !== folder) {
    throw new Error("this test needs the cluster around it: make test-cluster");
  }
  const kubeconfigPath = `${folder}/pki/admin.kubeconfig`;
  const caPath = `${folder}/pki/ca.crt`;
  const apiServer = { url: "https://127.0.0.1:443", caPath } as const;
  const kubectl: Cluster["kubectl"] = (...args) => run("kubectl", ["--kubeconfig", kubeconfigPath, ...args]);
  const apply: Cluster["apply"] = async (...items) => {
    const list = { apiVersion: "v1", kind: "List", items };
    await run("kubectl", ["--kubeconfig", kubeconfigPath, "apply", "-f", "-"], JSON.stringify(list));
  };
  const makeFolder = () => mkdtemp(`${folder}/tmp/test-`);
  return {
    nodeName: "lab",
    nodeAddress: "10.249.0.1",
    uplink: "uplink0",
    kubeconfigPath,
    apiServer,
    criSocketPath: "/run/containerd/containerd.sock",
    imagesPath: `${folder}/images.tar`,
    logFolder: `${folder}/log`,
    cgroup: async () => (await readFile(`${folder}/cgroup`, "utf8")).trim(),
    cni: { binDir: `${folder}/cni/bin`, confDir: `${folder}/cni/net.d`, leasesDir: `${folder}/cni/ipam` },
    makeFolder,
    kubectl,
    kubectlJson: async <T>(...args: readonly string[]) =>
      JSON.parse(await kubectl(...args, "-o", "json")) as T,
    apply,
    async makeNamespace() {
      const name = `test-${randomBytes(4).toString("hex")}`;
      await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
      // Without it the API server refuses pods.
      await eventually(`service account of ${name}`, () =>
        kubectl("-n", name, "get", "serviceaccount", "default"),
      );
      return {
        name,
        [Symbol.asyncDispose]: async () => {
          // Waits for the pods, whose interfaces and addresses the next test may look at.
          await kubectl("-n", name, "delete", "deployments,pods", "--all", "--grace-period=1");
          await kubectl("delete", "namespace", name, "--wait=false");
        },
      };
    },
    agentKubeconfig: (boundTo) =>
      kubeconfigOf(
        "podplug",
        "podplug-agent",
        ...(boundTo ? ["--bound-object-kind=Node", "--bound-object-name=lab"] : []),
      ),
    kubeconfigOf,
    kubeconfigWith,
  };

  async function kubeconfigOf(namespace: string, account: string, ...options: readonly string[]) {
    const token = (await kubectl("-n", namespace, "create", "token", account, ...options)).trim();
    return { path: await kubeconfigWith(token), token };
  }

  async function kubeconfigWith(token: string): Promise<string> {
    const path = join(await makeFolder(), "kubeconfig");
    const kubeconfig = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        { name: "cluster", cluster: { server: apiServer.url, "certificate-authority": apiServer.caPath } },
      ],
      users: [{ name: "account", user: { token } }],
      contexts: [{ name: "cluster", context: { cluster: "cluster", user: "account" } }],
      "current-context": "cluster",
    };
    await writeFile(path, JSON.stringify(kubeconfig), { mode: 0o600 });
    return path;
  }
}

/**
 * Asks until the answer is neither an error nor undefined, and gives it.
 * @throws the last error, after a minute: twice the longest pause between two tries of podplug's
 */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const timeoutMs = 60_000;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`${what}: not within ${timeoutMs} ms`, { cause });
    }
    await delay(50);
  }
}

/** A program's standard output. @throws with what it wrote to standard error */
export function run(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else
        reject(
          new Error(`${program} ${args.join(" ")}: ${stderr.trim() || error.message}`, { cause: error }),
        );
    });
    // A program that reads nothing may be gone before this is written.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}
