import { expect, test } from "vitest";
import { runKubectl } from "../../src/client/cli/kubectl.ts";
import type { ClusterFlags } from "../../src/client/cli/options/cluster.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { openCluster } from "../../src/kube/cluster.ts";
import { networkStatusAnnotation, networksAnnotation } from "../../src/kube/contract.ts";
import { createPodNetworks } from "../../src/kube/pod-networks.ts";
import { podPath } from "../kube/cluster-world.ts";
import { authority } from "../server/tls-server.ts";
import { createScreen } from "./cli-in-memory.ts";
import { createTwoAgents } from "./two-agents.ts";

type World = Awaited<ReturnType<typeof createTwoAgents>>;

/** One command line of `kubectl podplug`, as a user of the world's cluster, whose context is in namespace demo. */
async function kubectl(line: string, world?: World, pause: () => Promise<void> = () => Promise.resolve()) {
  const stdout = createScreen();
  const stderr = createScreen();
  const asked: ClusterFlags[] = [];
  const code = await runKubectl(line.split(" "), {
    io: {
      stdout,
      stderr,
      readStdin: () => Promise.resolve(""),
      interruption: () => ({ signal: new AbortController().signal, exitCode: () => 130 }),
      clock: systemClock,
      pause,
      env: { noColor: true },
    },
    version: "1.2.3",
    async openCluster(where) {
      asked.push(where);
      if (world === undefined) throw new Error("no cluster was to be asked");
      const path = await world.writeKubeconfig("demo");
      const cluster = await openCluster({ kind: "kubeconfig", path }, systemClock);
      return { ...cluster, networks: createPodNetworks(cluster) };
    },
  });
  return { code, stdout: stdout.text, stderr: stderr.text, asked };
}

/** As an administrator of podplug prepares it. */
async function createWorld(): Promise<World> {
  const world = await createTwoAgents();
  world.server.put("/api/v1/namespaces/podplug/configmaps/podplug-ca", {
    metadata: { namespace: "podplug", name: "podplug-ca", uid: "ca", resourceVersion: "1" },
    data: { "ca.crt": authority.cert },
  });
  return world;
}

const there = "--tls-server-name 127.0.0.1";

test.each(["attach", "detach", "list", "watch", "check", "top", "annotate"])(
  "%s --help has examples of kubectl's",
  async (name) => {
    const { code, stdout, stderr } = await kubectl(`${name} --help`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: kubectl podplug ${name}`);
    expect(stdout).toMatch(/\nExamples:\n(  .*:\n    kubectl podplug .*\n?)+$/);
    expect(stdout).not.toMatch(/netns|--container|--server /);
  },
);

test("pods are found in the context's namespace, on whatever node they run", async () => {
  const world = await createWorld();
  const attached = await kubectl(`attach db net-a --interface data0 ${there}`, world);
  expect(attached).toMatchObject({ code: 0, stderr: "" });
  expect(attached.stdout).toMatch(/^demo\/db +data0 +demo\/net-a/m);
  await kubectl(`attach web net-a ${there}`, world);
  const listed = await kubectl(`list ${there}`, world);
  expect(listed.stdout).toMatch(/^demo\/db +data0 .*\ndemo\/web +net1 /m);
  expect(await kubectl(`detach db net-a ${there}`, world)).toMatchObject({
    code: 0,
    stdout: "detached data0 (demo/net-a) from demo/db\n",
  });
  expect(new Set(world.shown)).toEqual(
    new Set(["1", "2", "3", "4"].map((count) => `demo.serviceaccounts.podplug-client.podplug.${count}`)),
  );
});

test("an agent that can't be reached is told of beside the others' answer, by words and exit code", async () => {
  const world = await createWorld();
  await kubectl(`attach web net-a ${there}`, world);
  world.server.ports.delete(`${podPath("podplug/agent-2")}:7654`);
  const listed = await kubectl(`list -A ${there}`, world);
  expect(listed.stdout).toMatch(/^demo\/web +net1 /m);
  expect(listed.stderr).toMatch(
    /^kubectl podplug list: node node-2: .*connection refused\n {2}reason +UNREACHABLE/,
  );
  expect(listed.code).toBe(5);
  const forPrograms = await kubectl(`list -A -o json ${there}`, world);
  expect(JSON.parse(forPrograms.stdout)).toMatchObject({ interfaces: [{ name: "net1" }] });
  expect(JSON.parse(forPrograms.stderr)).toMatchObject({ error: { reason: "UNREACHABLE" } });
});

test("without the agents' authority there is no call, and a word of how to give it", async () => {
  const world = await createTwoAgents();
  const { code, stderr } = await kubectl(`list ${there}`, world);
  expect(code).toBe(2);
  expect(stderr).toContain("ConfigMap podplug/podplug-ca");
  expect(stderr).toContain("--ca FILE");
  expect(world.shown).toEqual([]);
});

test.each([
  ["attach web", "missing NETWORK"],
  ["attach", "missing POD and NETWORK"],
  ["attach web net-a --netns a", "unknown option '--netns'"],
  ["annotate remove web net-a", "say add or del first"],
  ["annotate add web", "missing POD or NETWORK"],
  ["list --agent-port 0", "Use a port"],
])("kubectl podplug %s is wrong usage", async (line, words) => {
  const world = await createWorld();
  const { code, stderr, stdout } = await kubectl(line, world);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(words);
  expect(stderr).toContain("(kubectl podplug");
});

test.each([
  ["--service-account a/b/c", "isn't NAME or NAMESPACE/NAME"],
  ["--service-account a --token-file b", "--service-account excludes"],
  ["--client-cert a", "needed together"],
  ["--service-account nobody", "there is no service account demo/nobody"],
])("credentials as in %s are refused before an agent is called", async (flags, words) => {
  const world = await createWorld();
  const { code, stderr } = await kubectl(`list ${flags} ${there}`, world);
  expect([2, 3]).toContain(code);
  expect(stderr).toContain(words);
  expect(world.shown).toEqual([]);
});

test("which cluster is asked is said by kubectl's own flags", async () => {
  const world = await createWorld();
  const { asked } = await kubectl("annotate add web net-a --kubeconfig k --context c", world);
  expect(asked).toMatchObject([{ kubeconfig: "k", context: "c" }]);
});

test("annotate changes the annotation alone, waits for the status when asked to, and needs no agent", async () => {
  const world = await createWorld();
  const annotations = () => world.server.get(podPath("demo/web"))?.metadata.annotations;
  const status = JSON.stringify([{ name: "demo/net-a", interface: "data0" }]);
  let looks = 0;
  const followed = await kubectl("annotate add web net-a@data0 --wait", world, async () => {
    looks += 1;
    const present = { ...annotations(), [networkStatusAnnotation]: status };
    world.setPod("demo/web", { annotations: present });
  });
  expect(followed).toMatchObject({ code: 0, stdout: "pod demo/web asks for net-a@data0\n", stderr: "" });
  expect({ looks, asks: annotations()?.[networksAnnotation] }).toEqual({ looks: 1, asks: "net-a@data0" });
  const again = await kubectl("annotate add web net-a@data0", world);
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain("INTERFACE_IN_USE");
  expect(await kubectl("annotate del demo/web net-a@data0", world)).toMatchObject({
    code: 0,
    stdout: "pod demo/web no longer asks for net-a@data0\n",
  });
  expect(await kubectl("annotate del web net-a", world)).toMatchObject({
    code: 0,
    stdout: "",
    stderr: "nothing to remove: pod demo/web doesn't ask for net-a\n",
  });
  const document = await kubectl("annotate add web net-b -o json", world);
  expect(JSON.parse(document.stdout)).toEqual({
    pod: "demo/web",
    edit: "add",
    network: "net-b",
    changed: true,
  });
  expect(world.shown).toEqual([]);
});

test("a status that doesn't come in time is DEADLINE_EXCEEDED, and the annotation stays", async () => {
  const world = await createWorld();
  const late = await kubectl("annotate add web net-a --wait --timeout 1ms", world);
  expect(late.code).toBe(1);
  expect(late.stderr).toContain("DEADLINE_EXCEEDED");
  expect(world.server.get(podPath("demo/web"))?.metadata.annotations).toMatchObject({
    [networksAnnotation]: "net-a",
  });
});

test("kubectl is told the words that may follow, and what else to do, as it expects them", async () => {
  const world = await createWorld();
  await kubectl(`attach web net-a ${there}`, world);
  const offered = async (line: string) => (await kubectl(`__complete -- ${line}`, world)).stdout.split("\n");
  expect(await offered("an")).toEqual([expect.stringMatching(/^annotate\t/), ":4", ""]);
  expect(await offered(`list ${there} w`)).toEqual(["web", ":4", ""]);
  expect(await offered("annotate ")).toEqual(["add", "del", ":4", ""]);
  expect(await offered("list --kubeconfig ")).toEqual([":0", ""]);
});
