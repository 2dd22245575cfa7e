import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createSecretStore } from "../../src/certificates/secret-store.ts";
import { createNodeClient } from "../../src/client/node-client.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import { createKubeAccess } from "../../src/kube/access.ts";
import { createApiClient } from "../../src/kube/api-client.ts";
import { createDataObjects } from "../../src/kube/data-objects.ts";
import { podplug } from "../client/cli-process.ts";
import { certificateStoreContract } from "../contracts/certificate-store.ts";
import { startClusterAgent } from "./support/agent.ts";
import { eventually, run, useCluster } from "./support/cluster.ts";
import { kustomizations, renderComponents } from "./support/manifests.ts";

const cluster = useCluster();

describe("a store in a cluster's Secrets", () => {
  certificateStoreContract(async () => {
    await using cleanup = new AsyncDisposableStack();
    const namespace = cleanup.use(await cluster.makeNamespace());
    const access = cleanup.use(await createKubeAccess({ kind: "kubeconfig", path: cluster.kubeconfigPath }));
    const client = createApiClient({ access, clock: systemClock });
    const shared = { client, namespace: namespace.name };
    const secrets = createDataObjects({ ...shared, kind: "Secret" });
    const configMaps = createDataObjects({ ...shared, kind: "ConfigMap" });
    const held = cleanup.move();
    return {
      open: () => createSecretStore({ secrets, configMaps, namespace: namespace.name }),
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  });
});

test("what -o secret prints, the API server takes, and again once it is there", async () => {
  await using namespace = await cluster.makeNamespace();
  const args = ["server", "--dir", await cluster.makeFolder(), "-o", "secret", "-n", namespace.name];
  for (const done of ["created", "unchanged"]) {
    const { code, stdout } = await podplug(["certificates", ...args]);
    expect(code).toBe(0);
    const applied = await run(
      "kubectl",
      ["--kubeconfig", cluster.kubeconfigPath, "apply", "-f", "-"],
      stdout,
    );
    expect(applied).toBe(`secret/podplug-tls ${done}\nconfigmap/podplug-ca ${done}\n`);
  }
});

describe("component certificates", () => {
  let kubeconfig: string;
  let manifests: string;

  beforeAll(async () => {
    manifests = await renderComponents(cluster, ["certificates"]);
    await apply();
    ({ path: kubeconfig } = await cluster.kubeconfigOf("podplug", "podplug-certificates"));
  });
  afterAll(() => run("kubectl", ["--kubeconfig", cluster.kubeconfigPath, "delete", "-f", "-"], manifests));

  const apply = () => run("kubectl", ["--kubeconfig", cluster.kubeconfigPath, "apply", "-f", "-"], manifests);

  /** As the job's containers run it, with the job's rights. */
  async function asTheJob(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await podplug([
      "certificates",
      ...args,
      "--cluster",
      "--kubeconfig",
      kubeconfig,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout;
  }
  const agents = ["server"];
  const prometheus = ["client", "podplug:prometheus", "--as", "podplug-prometheus"];

  /** Writes what a Secret holds, as the kubelet would. */
  async function mount(name: string): Promise<string> {
    const { data } = await cluster.kubectlJson<{ readonly data: Readonly<Record<string, string>> }>(
      "-n",
      "podplug",
      "get",
      "secret",
      name,
    );
    const folder = await cluster.makeFolder();
    for (const [file, text] of Object.entries(data)) {
      await writeFile(join(folder, file), Buffer.from(text, "base64"), { mode: 0o600 });
    }
    return folder;
  }

  test("makes the certificates once, with the rights that it has, and applying it again keeps them", async () => {
    expect(await asTheJob(agents)).toMatch(
      /^made the authority Secret podplug\/podplug-ca, .*\nmade Secret podplug\/podplug-tls, /,
    );
    expect(await asTheJob(prometheus)).toMatch(/^made Secret podplug\/podplug-prometheus, /);
    await apply();
    expect(await asTheJob(agents)).toMatch(/^Secret podplug\/podplug-tls is good until /);
    expect(await asTheJob(prometheus)).toMatch(/^Secret podplug\/podplug-prometheus is good until /);
  });

  test("makes Secrets that those made by hand can take the place of", async () => {
    await asTheJob(agents);
    const folder = await cluster.makeFolder();
    const byHand = ["certificates", "server", "--dir", join(folder, "pki"), "-o", "secret"];
    const { stdout } = await podplug(byHand);
    const dryRun = ["apply", "--dry-run=server", "-f", "-"];
    const said = await run("kubectl", ["--kubeconfig", cluster.kubeconfigPath, ...dryRun], stdout);
    expect(said).toContain("secret/podplug-tls configured");
  });

  test("tells the authority to who may read no Secret, again when it was lost", async () => {
    const certificateIn = (object: string, key: string): Promise<string> =>
      cluster.kubectl("-n", "podplug", "get", object, "-o", `jsonpath={.data.${key.replace(".", "\\.")}}`);
    const told = () => certificateIn("configmap/podplug-ca", "ca.crt");
    const authority = Buffer.from(await certificateIn("secret/podplug-ca", "tls.crt"), "base64").toString();
    expect(await told()).toBe(authority);
    await cluster.kubectl(
      "-n",
      "podplug",
      "patch",
      "configmap",
      "podplug-ca",
      "-p",
      '{"data": {"ca.crt": ""}}',
    );
    await asTheJob(agents);
    expect(await told()).toBe(authority);
  });

  test("has made what openssl finds sound", async () => {
    for (const [secret, purpose] of [
      ["podplug-tls", "sslserver"],
      ["podplug-prometheus", "sslclient"],
    ] as const) {
      const folder = await mount(secret);
      const args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", join(folder, "ca.crt")];
      expect(await run("openssl", [...args, join(folder, "tls.crt")])).toContain(": OK");
    }
  });

  test("has made what an agent serves with, and lets Prometheus in to nothing but what RBAC gives it", async () => {
    const serving = await mount("podplug-tls");
    const calling = await mount("podplug-prometheus");
    await using agent = await startClusterAgent(cluster, {
      api: {
        listen: "127.0.0.1:0",
        tls: {
          certFile: join(serving, "tls.crt"),
          keyFile: join(serving, "tls.key"),
          clientCAFile: join(serving, "ca.crt"),
        },
        auth: { tokenReview: true },
      },
    });
    await using client = createNodeClient({
      server: `https://127.0.0.1:${agent.program.addresses.tls?.port}`,
      tlsServerName: "podplug.node",
      caFile: join(calling, "ca.crt"),
      clientCertFile: join(calling, "tls.crt"),
      clientKeyFile: join(calling, "tls.key"),
    });
    expect((await client.info(signal)).nodeName).toBe("lab");
    const target = { kind: "pod", pod: { namespace: "default", name: "web" } } as const;
    await expect(client.list({ target }, signal)).rejects.toMatchObject({ reason: "DENIED" });

    const { port } = agent.program.addresses.tls ?? {};
    const page = `https://podplug.node:${port}/metrics`;
    const identity = ["--cert", join(calling, "tls.crt"), "--key", join(calling, "tls.key")];
    const known = ["--cacert", join(calling, "ca.crt"), "--resolve", `podplug.node:${port}:127.0.0.1`];
    const scrape = () => run("curl", ["-sSf", ...known, ...identity, page]);
    await expect(scrape()).rejects.toThrow("403");
    const monitoring = join(kustomizations, "components/monitoring/rbac.yaml");
    await cluster.kubectl("apply", "-f", monitoring);
    try {
      // A refusal is believed for some seconds.
      expect(await eventually("the metrics", scrape)).toContain("podplug_");
    } finally {
      await cluster.kubectl("delete", "-f", monitoring);
    }
  });
});
