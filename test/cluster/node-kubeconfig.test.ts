import { copyFile, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../client/cli-process.ts";
import { eventually, run, useCluster } from "./support/cluster.ts";
import { makePlugWorld } from "./support/plug-world.ts";

/*
 * What `podplug-kubeconfig` of the packages makes on a node of this cluster.
 */

const cluster = useCluster();
let usr: string;
let made: string;

/** As an administrator types it. */
const makeKubeconfig = (...args: readonly string[]): Promise<string> =>
  run(join(usr, "bin/podplug-kubeconfig"), ["--kubeconfig", cluster.kubeconfigPath, ...args]);
const renew = (folder = made): Promise<string> => run(join(root, "deploy/systemd/renew-token"), [folder]);
const asAgent = (...args: readonly string[]): Promise<string> =>
  run("kubectl", ["--kubeconfig", join(made, "kubeconfig"), ...args]);
/** `yes` or `no`; kubectl's exit code says the same. */
const canI = async (words: readonly string[]): Promise<string> => {
  const command = ["kubectl", "--kubeconfig", join(made, "kubeconfig"), "auth", "can-i", ...words];
  return (await run("sh", ["-c", '"$@" || true', "sh", ...command])).trim();
};
const tokenIn = (folder: string): Promise<string> => readFile(join(folder, "token"), "utf8");

interface Claims {
  readonly iat: number;
  readonly exp: number;
  readonly "kubernetes.io": {
    readonly node?: { readonly name: string };
    readonly serviceaccount: { readonly name: string };
  };
}
const claimsOf = (token: string): Claims =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Claims;

beforeAll(async () => {
  const folder = await cluster.makeFolder();
  usr = join(folder, "usr");
  made = join(folder, "etc");
  for (const place of ["bin", "lib/podplug", "share/podplug"])
    await mkdir(join(usr, place), { recursive: true });
  await copyFile(join(root, "deploy/systemd/podplug-kubeconfig"), join(usr, "bin/podplug-kubeconfig"));
  await copyFile(join(root, "deploy/systemd/renew-token"), join(usr, "lib/podplug/renew-token"));
  await copyFile(join(root, "deploy/rbac.yaml"), join(usr, "share/podplug/rbac.yaml"));
  await copyFile(join(root, "deploy/systemd/token-rbac.yaml"), join(usr, "share/podplug/token-rbac.yaml"));
  await makeKubeconfig("--node", cluster.nodeName, "--server", cluster.apiServer.url, "--dir", made);
});
afterAll(async () => {
  await cluster.kubectl("-n", "podplug", "delete", "role,rolebinding", "podplug-agent-token");
  // The cluster's other tests have agents with these rights.
  await cluster.kubectl("apply", "-f", join(root, "deploy/rbac.yaml"));
});

test("the agent plugs with it, by its node's annotations", async () => {
  await using world = await makePlugWorld(cluster, { controller: { kubeconfig: join(made, "kubeconfig") } });
  await world.define("data");
  const pod = await world.startPod("web");
  await pod.networks("data@net1");
  await pod.holds(["net1 data"]);
});

test("the token is bound to the node, good for a week, and nobody's but root's", async () => {
  const { iat, exp, "kubernetes.io": about } = claimsOf(await tokenIn(made));
  expect(about).toMatchObject({
    node: { name: cluster.nodeName },
    serviceaccount: { name: "podplug-agent" },
  });
  expect(exp - iat).toBe(604_800);
  for (const file of ["kubeconfig", "token"]) expect((await stat(join(made, file))).mode & 0o777).toBe(0o600);
});

test("the token renews itself, bound as before, and the new one works", async () => {
  const first = await tokenIn(made);
  await renew();
  const second = await tokenIn(made);
  expect(second).not.toBe(first);
  expect(claimsOf(second)["kubernetes.io"]).toMatchObject({ node: { name: cluster.nodeName } });
  expect((await stat(join(made, "token"))).mode & 0o777).toBe(0o600);
  expect(await asAgent("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")).toBe(
    "system:serviceaccount:podplug:podplug-agent",
  );
});

test("without its Role it isn't renewed, and the right that is missing is told", async () => {
  await cluster.kubectl("-n", "podplug", "delete", "rolebinding", "podplug-agent-token");
  try {
    await eventually("it is refused", async () => {
      await expect(renew()).rejects.toThrow(
        /the API server answered 403 .*cannot create resource \\"serviceaccounts\/token\\"/,
      );
      return true;
    });
  } finally {
    await cluster.kubectl("apply", "-f", join(root, "deploy/systemd/token-rbac.yaml"));
  }
  await eventually("it is renewed again", renew);
});

test("a token that is refused is told with the next step, and stays", async () => {
  const broken = await cluster.makeFolder();
  for (const file of ["kubeconfig", "ca.crt", "token-request.json"])
    await copyFile(join(made, file), join(broken, file));
  await writeFile(join(broken, "token"), "ended");
  await expect(renew(broken)).rejects.toThrow(
    /the token was not renewed: .*Unauthorized.*run podplug-kubeconfig again/s,
  );
  expect(await tokenIn(broken)).toBe("ended");
});

test.each([
  ["create", "serviceaccounts/podplug-agent", "--subresource=token", "-n=podplug"],
  ["get", "pods", "-A"],
  ["patch", "pods", "--subresource=status", "-A"],
])("with it one can %s %s %s", async (...words) => {
  expect(await canI(words)).toBe("yes");
});

test.each([
  ["create", "serviceaccounts/default", "--subresource=token", "-n=podplug"],
  ["create", "serviceaccounts", "--subresource=token", "-n=kube-system"],
  ["get", "secrets", "-n=podplug"],
  ["create", "pods", "-n=podplug"],
  ["update", "pods", "-A"],
  ["delete", "pods", "-A"],
  ["patch", "nodes", "-A"],
  ["create", "rolebindings.rbac.authorization.k8s.io", "-n=podplug"],
])("with it one can't %s %s %s", async (...words) => {
  expect(await canI(words)).toBe("no");
});

test("nothing is made for a node that the cluster doesn't have, nor for wrong options", async () => {
  const other = join(await cluster.makeFolder(), "etc");
  await expect(makeKubeconfig("--node", "nobody", "--dir", other)).rejects.toThrow(
    "the cluster has no node nobody",
  );
  await expect(makeKubeconfig("--node", "a\nb")).rejects.toThrow("--node is the name of a Node");
  await expect(makeKubeconfig("--duration", "1w")).rejects.toThrow("--duration is a number of seconds");
  await expect(makeKubeconfig("--duration", "600")).rejects.toThrow("--duration is at least 3600");
  await expect(stat(other)).rejects.toThrow("ENOENT");
});

test("nor is anything changed when the API server gives no token, or the server's address isn't https", async () => {
  const files = async (): Promise<readonly string[]> => {
    const names = await readdir(made);
    return Promise.all(
      names.toSorted().map(async (name) => name + (await readFile(join(made, name), "utf8"))),
    );
  };
  const before = await files();
  const again = ["--node", cluster.nodeName, "--dir", made];
  await expect(makeKubeconfig(...again, "--duration", "4294967297")).rejects.toThrow("gives no token");
  const plain = join(await cluster.makeFolder(), "plain.kubeconfig");
  const admin = await readFile(cluster.kubeconfigPath, "utf8");
  await writeFile(plain, admin.replace("https://", "http://"));
  await expect(makeKubeconfig(...again, "--kubeconfig", plain)).rejects.toThrow("no https URL but http://");
  expect(await files()).toEqual(before);
});

test("what the cluster has already stays as it is", async () => {
  await cluster.kubectl("apply", "-f", join(root, "deploy/kubernetes/base/namespace.yaml"));
  await cluster.kubectl("apply", "-f", join(root, "deploy/kubernetes/base/rbac.yaml"));
  const present = (): Promise<string> =>
    cluster.kubectl("get", "namespace/podplug", "clusterrole/podplug-agent", "-o", "json");
  const before = await present();
  await makeKubeconfig("--node", cluster.nodeName, "--dir", join(await cluster.makeFolder(), "etc"));
  expect(before).toContain("pod-security.kubernetes.io/");
  expect(await present()).toBe(before);
});

/** As an administrator types it on the node, whose /etc is in memory for as long. */
const makeOnNode = (...args: readonly string[]): Promise<string> => {
  const command = 'mount -t tmpfs tmpfs /etc && "$@" && ls -A /etc/podplug';
  const options = ["--kubeconfig", cluster.kubeconfigPath, "--node", cluster.nodeName, ...args];
  return run("unshare", [
    "--mount",
    "sh",
    "-c",
    command,
    "sh",
    join(usr, "bin/podplug-kubeconfig"),
    ...options,
  ]);
};

test("on the node itself, a token that can't be renewed is told at once", async () => {
  expect(await makeOnNode("--server", cluster.apiServer.url)).toMatch(
    /made \/etc\/podplug\/kubeconfig[\s\S]*\nca.crt\nkubeconfig\ntoken\ntoken-request.json\n$/,
  );
  await expect(makeOnNode("--server", "https://127.0.0.1:1")).rejects.toThrow(
    /the token was not renewed: curl failed at https:\/\/127\.0\.0\.1:1 [\s\S]*nothing was changed in \/etc\/podplug/,
  );
});

test("a token bound to nothing is to be had for older clusters", async () => {
  const other = join(await cluster.makeFolder(), "etc");
  await makeKubeconfig("--unbound", "--duration", "3600", "--dir", other);
  const { iat, exp, "kubernetes.io": about } = claimsOf(await tokenIn(other));
  expect(about.node).toBeUndefined();
  expect(exp - iat).toBe(3600);
});
