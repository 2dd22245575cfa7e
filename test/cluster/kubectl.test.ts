import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createSecureServer, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import process from "node:process";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { ClusterAgent } from "./support/agent.ts";
import { eventually, useCluster } from "./support/cluster.ts";
import { podManifest, podSandbox, readyPod } from "./support/pods.ts";
import { startTlsAgent, type TlsAgent } from "./support/tls-agent.ts";
import { tokenKubeconfig, userKubeconfig } from "./support/users.ts";

const cluster = useCluster();
const root = join(import.meta.dirname, "../..");
const example = join(root, "examples/rbac/kubectl-user.yaml");
/** Of the example. */
const namespace = "demo";

let served: TlsAgent;
let agent: ClusterAgent;
let dana: string;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  await cluster.kubectl("apply", "-f", example);
  await eventually("the namespace's service account", () =>
    cluster.kubectl("-n", namespace, "get", "serviceaccount", "default"),
  );
  dana = await userKubeconfig(cluster, "dana", namespace);
  served = cleanup.use(await startTlsAgent(cluster));
  ({ agent } = served);
  await cluster.apply({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "podplug", name: "podplug-ca" },
    data: { "ca.crt": served.authority },
  });
  await cluster.apply(
    agent.bridgeDefinition(namespace, "data"),
    podManifest(namespace, "web"),
    podManifest("default", "kubectl-other"),
  );
  await readyPod(cluster, namespace, "web");
  await readyPod(cluster, "default", "kubectl-other");
});

afterAll(async () => {
  await cluster.kubectl("-n", namespace, "delete", "pod", "web", "--grace-period=1");
  await cluster.kubectl("-n", "default", "delete", "pod", "kubectl-other", "--grace-period=1");
  await cleanup.disposeAsync();
  await cluster.kubectl("-n", "podplug", "delete", "configmap", "podplug-ca");
  await cluster.kubectl("-n", "podplug", "delete", "role,rolebinding", "podplug-agents");
  await cluster.kubectl("delete", "namespace", namespace);
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `kubectl podplug …`, run by kubectl itself, as a user. */
function kubectlAs(kubeconfig: string, ...args: readonly string[]): Promise<Ended> {
  const PATH = [join(root, "bin"), process.env["PATH"]].join(delimiter);
  const env = { ...process.env, PATH, KUBECONFIG: kubeconfig };
  const { promise, resolve } = Promise.withResolvers<Ended>();
  // A watch ends for no other reason.
  execFile("kubectl", [...args], { env, timeout: 20_000 }, (error, stdout, stderr) => {
    resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
  });
  return promise;
}

/** With the agent's port, which is any free one in a test. */
function podplugAs(kubeconfig: string, command: string, ...args: readonly string[]): Promise<Ended> {
  return kubectlAs(kubeconfig, "podplug", command, ...args, "--agent-port", String(served.port));
}

test("a namespace's user plugs, lists, checks and unplugs through the API server, by the context's namespace", async () => {
  const attached = await podplugAs(dana, "attach", "web", "data", "--interface", "data0");
  expect(attached).toMatchObject({ code: 0, stderr: "" });
  expect(attached.stdout).toMatch(/^demo\/web +data0 +demo\/data +10\.91\.\S+ +\S+ +attached$/m);
  const { run } = await podSandbox(await readyPod(cluster, namespace, "web"));
  expect(await run("ip", "link", "show", "data0")).toContain("data0");
  const listed = await podplugAs(dana, "list", "-o", "json");
  const { interfaces } = JSON.parse(listed.stdout) as { interfaces: { name: string; owner?: string }[] };
  expect(interfaces.map(({ name }) => name)).toEqual(["eth0", "data0"]);
  expect(interfaces[1]?.owner).toBe("system:serviceaccount:demo:podplug-client");
  expect(await podplugAs(dana, "check", "web")).toMatchObject({ code: 0 });
  const carried = await podplugAs(dana, "top", "web", "--interval", "200ms", "-o", "json");
  expect(JSON.parse(carried.stdout)).toMatchObject({
    rates: expect.arrayContaining([
      expect.objectContaining({ interface: "data0", counters: expect.any(Object) as object }),
    ]) as unknown,
  });
  expect(await podplugAs(dana, "detach", "web", "data")).toEqual({
    code: 0,
    stdout: "detached data0 (demo/data) from demo/web\n",
    stderr: "",
  });
  expect(await agent.leases()).toEqual([]);
});

test("an agent is reached at its node's address as well", async () => {
  const listed = await podplugAs(dana, "list", "--direct");
  expect(listed).toMatchObject({ code: 0, stderr: "" });
  expect(listed.stdout).toMatch(/^demo\/web +eth0/m);
});

test("what the user may not do is refused with the right that is missing", async () => {
  const elsewhere = await podplugAs(dana, "attach", "-n", "default", "kubectl-other", "data");
  expect(elsewhere.code).toBe(4);
  expect(elsewhere.stderr).toMatch(/DENIED/);
  expect(elsewhere.stderr).toContain('User "dana" cannot get resource "pods"');
  const account = await podplugAs(dana, "attach", "web", "data", "--service-account", "default");
  expect(account.code).toBe(4);
  expect(account.stderr).toContain('cannot create resource "serviceaccounts/token"');
  const network = await podplugAs(dana, "attach", "web", "default/data");
  expect(network.code).toBe(4);
  expect(network.stderr).toContain("get network-attachment-definitions default/data");
  const everything = await podplugAs(dana, "list", "-A");
  expect(everything).toMatchObject({ code: 0, stderr: "" });
  expect(everything.stdout).not.toContain("default/kubectl-other");
  expect(await agent.leases()).toEqual([]);
});

test("a user without the agents' Role is told what is missing there", async () => {
  const erin = await userKubeconfig(cluster, "erin", namespace);
  const refused = await podplugAs(erin, "list", "-A", "--ca", cluster.apiServer.caPath);
  expect(refused.code).toBe(4);
  expect(refused.stderr).toContain('User "erin" cannot list resource "pods"');
});

test("a pod that isn't there, and an account that isn't, are not found", async () => {
  expect(await podplugAs(dana, "attach", "nope", "data")).toMatchObject({ code: 3 });
  const admin = await podplugAs(
    cluster.kubeconfigPath,
    "list",
    "-n",
    namespace,
    "--service-account",
    "nobody",
  );
  expect(admin.code).toBe(3);
  expect(admin.stderr).toContain("there is no service account demo/nobody");
});

test("an agent that doesn't answer is unreachable, by its node's name", async () => {
  const away = await kubectlAs(dana, "podplug", "list", "--agent-port", "1");
  expect(away.code).toBe(5);
  expect(away.stderr).toContain("node lab");
});

test("the annotation is edited without an agent, and --wait waits for the status to show it", async () => {
  const added = await kubectlAs(dana, "podplug", "annotate", "add", "web", "data@note0", "--wait");
  expect(added).toEqual({ code: 0, stdout: "pod demo/web asks for data@note0\n", stderr: "" });
  const { metadata } = await readyPod(cluster, namespace, "web");
  expect(metadata.annotations?.["k8s.v1.cni.cncf.io/network-status"]).toContain('"note0"');
  const again = await kubectlAs(dana, "podplug", "annotate", "add", "web", "data@note0");
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain("INTERFACE_IN_USE");
  const removed = await kubectlAs(dana, "podplug", "annotate", "del", "web", "data@note0", "--wait");
  expect(removed).toMatchObject({ code: 0, stderr: "" });
  expect(await agent.leases()).toEqual([]);
});

test("kubectl completes the plugin's commands, options and pods", async () => {
  const commands = await kubectlAs(dana, "__complete", "podplug", "a");
  expect(commands.stdout.split("\n")).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^attach\t/) as string,
      expect.stringMatching(/^annotate\t/) as string,
      ":4",
    ]),
  );
  const pods = await kubectlAs(
    dana,
    "__complete",
    "podplug",
    "list",
    "--agent-port",
    String(served.port),
    "w",
  );
  expect(pods.stdout.split("\n")).toContain("web");
});

test("an agent never gets to see the kubeconfig's own credentials", async () => {
  const seen: { headers: IncomingHttpHeaders; hasCertificate: boolean }[] = [];
  const server = createSecureServer({ ...served.certificate, requestCert: true, rejectUnauthorized: false });
  server.on("request", (request, response) => {
    const socket = request.stream.session?.socket as TLSSocket;
    const { subject } = socket.getPeerCertificate();
    seen.push({ headers: request.headers, hasCertificate: subject !== undefined });
    response.writeHead(503).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const own = (await cluster.kubectl("-n", namespace, "create", "token", "podplug-client")).trim();
  await cluster.kubectl(
    "-n",
    namespace,
    "create",
    "rolebinding",
    "tokens-user",
    "--role=kubectl-podplug",
    "--serviceaccount=demo:podplug-client",
  );
  await cluster.kubectl(
    "-n",
    "podplug",
    "create",
    "rolebinding",
    "tokens-user",
    "--role=podplug-agents",
    "--serviceaccount=demo:podplug-client",
  );
  for (const kubeconfig of [dana, await tokenKubeconfig(cluster, own, namespace)]) {
    await kubectlAs(kubeconfig, "podplug", "list", "--agent-port", String(port));
  }
  server.close();
  await cluster.kubectl("-n", "podplug", "delete", "rolebinding", "tokens-user");
  expect(seen).toHaveLength(2);
  for (const { headers, hasCertificate } of seen) {
    expect(hasCertificate).toBe(false);
    expect(headers.authorization).toMatch(/^Bearer /);
    expect(JSON.stringify(headers)).not.toContain(own);
    const [, claims = ""] = (headers.authorization ?? "").split(".");
    expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toMatchObject({ aud: ["podplug"] });
  }
});

interface Role {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

interface Right {
  readonly role: Role["metadata"];
  readonly verb: string;
  readonly resource: string;
}

const rights: readonly Right[] = parseAllDocuments(await readFile(example, "utf8"))
  .map((document) => document.toJS() as Role & { readonly kind: string })
  .filter(({ kind }) => kind === "Role")
  .flatMap(({ metadata: role, rules }) =>
    rules.flatMap(({ verbs, resources }) =>
      verbs.flatMap((verb) => resources.map((resource) => ({ role, verb, resource }))),
    ),
  );

const list = (): Promise<Ended> => podplugAs(dana, "list");
const attach = (): Promise<Ended> => podplugAs(dana, "attach", "web", "data", "--interface", "data0");
const detach = (): Promise<Ended> => podplugAs(dana, "detach", "web", "data0");
const check = async (): Promise<Ended> => {
  await attach();
  const ended = await podplugAs(dana, "check", "web");
  // The attachment's row tells it.
  return { ...ended, stderr: ended.stdout };
};
const inPod = (verb: string): string => `may not ${verb} podnetworks demo/web`;

/** What needs each right of the example, and what it says without it. */
const uses: Readonly<Record<string, readonly [run: () => Promise<Ended>, says: string, code?: number]>> = {
  "podplug-client: create podnetworks": [attach, inPod("create")],
  "podplug-client: delete podnetworks": [detach, inPod("delete")],
  "podplug-client: get podnetworks": [check, inPod("get"), 1],
  "podplug-client: list podnetworks": [() => podplugAs(dana, "list", "web"), inPod("list")],
  "podplug-client: watch podnetworks": [() => podplugAs(dana, "watch", "web"), inPod("watch")],
  "podplug-client: get network-attachment-definitions": [attach, "network-attachment-definitions demo/data"],
  "kubectl-podplug: get pods": [attach, 'cannot get resource "pods"'],
  "kubectl-podplug: list pods": [list, 'cannot list resource "pods"'],
  "kubectl-podplug: patch pods": [
    () => kubectlAs(dana, "podplug", "annotate", "add", "web", "data@note0"),
    'cannot patch resource "pods"',
  ],
  "kubectl-podplug: create serviceaccounts/token": [list, 'cannot create resource "serviceaccounts/token"'],
  "podplug-agents: list pods": [list, 'cannot list resource "pods"'],
  // The API server doesn't say which right it is.
  "podplug-agents: create pods/portforward": [list, "forwarding port"],
  "podplug-agents: get pods/portforward": [list, 'cannot get resource "pods/portforward"'],
  "podplug-agents: get configmaps": [list, 'cannot get resource "configmaps"'],
};

const nameOf = ({ role, verb, resource }: Right): string => `${role.name}: ${verb} ${resource}`;

test("each right of the example is looked at here", () => {
  expect(rights.map(nameOf)).toEqual(Object.keys(uses));
});

test.each(rights.map((right) => [nameOf(right), right] as const))(
  "without the right %s, what needs it is refused",
  async (name, { role, verb, resource }) => {
    const [run, says = "", code = 4] = uses[name] ?? [];
    const of = ["-n", role.namespace, "role", role.name] as const;
    const { rules } = await cluster.kubectlJson<Role>("get", ...of);
    const write = async (changed: Role["rules"]): Promise<void> => {
      const patch = JSON.stringify([{ op: "replace", path: "/rules", value: changed }]);
      await cluster.kubectl("patch", ...of, "--type=json", "-p", patch);
    };
    const withoutIt = rules.flatMap((rule) => {
      const verbs = rule.verbs.filter((each) => each !== verb || !rule.resources.includes(resource));
      return verbs.length > 0 ? [{ ...rule, verbs }] : [];
    });
    await write(withoutIt);
    try {
      await eventually(`${name} is missed`, async () => {
        const ended = await run?.();
        expect(ended).toMatchObject({ code, stderr: expect.stringContaining(says) as unknown });
        return true;
      });
    } finally {
      await write(rules);
    }
  },
);
