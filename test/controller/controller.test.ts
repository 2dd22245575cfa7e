import { describe, expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { networkStatusAnnotation } from "../../src/kube/contract.ts";
import { createNode, quiet } from "./node.ts";

const nothing = { links: ["eth0"], status: ["eth0 cluster"], leases: [] };
const podTarget = (name: string) => ({ kind: "pod", pod: { namespace: "default", name } }) as const;

/** What agrees everywhere: the named attachments, each with its link, status entry and lease. */
function whole(...attachments: readonly string[]) {
  const names = attachments.map((each) => each.split(" ")[0] ?? "");
  return {
    links: ["eth0", ...names],
    status: ["eth0 cluster", ...attachments],
    leases: names.toSorted(),
  };
}

describe("the annotation", () => {
  test("plugs networks into a running pod in its order, and unplugs them, with status and events", async () => {
    const node = await createNode();
    await node.addPod("web");
    expect(node.statusOf("web")).toEqual([]);
    await node.setNetworks("web", "red@net5,blue@net1");
    expect(node.state("web")).toEqual(whole("net5 default/red", "net1 default/blue"));
    await node.setNetworks("web", "red@net5");
    expect(node.state("web")).toEqual(whole("net5 default/red"));
    await node.setNetworks("web", undefined);
    expect(node.state("web")).toEqual(nothing);
    expect(node.events()).toEqual([
      "AddedInterface: added interface net5 to network default/red (10.9.0.2/24)",
      "AddedInterface: added interface net1 to network default/blue (10.9.0.3/24)",
      "RemovedInterface: removed interface net1 from network default/blue",
      "RemovedInterface: removed interface net5 from network default/red",
    ]);
    expect(node.world.executor.runs).toEqual(["ADD net5", "ADD net1", "DEL net1", "DEL net5"]);
  });

  test("has its status written although the attachment's event comes after the answer", async () => {
    const node = await createNode({ hears: ({ kind }) => kind !== "attached" });
    await node.addPod("web", "blue@net1");
    expect(node.state("web")).toEqual(whole("net1 default/blue"));
  });

  test("written while the pod was pending is caught up when it runs", async () => {
    const node = await createNode();
    node.cluster.setPod({
      name: "web",
      uid: "uid-1",
      annotations: { "k8s.v1.cni.cncf.io/networks": "blue" },
    });
    await quiet();
    expect(node.events()).toEqual([]);
    const sandbox = await node.world.sandboxes.addPod({ namespace: "default", name: "web", uid: "uid-1" });
    await node.clock.advance(30_000);
    expect(node.world.linkNames(sandbox.netnsPath)).toEqual(["eth0", "net1"]);
  });

  test("follows the pod into its next sandbox, where an unnamed one keeps its name", async () => {
    const node = await createNode();
    await node.addPod("web", "blue,red");
    await node.setNetworks("web", "red");
    expect(node.state("web").links).toEqual(["eth0", "net2"]);
    await node.replaceSandbox("web");
    node.cluster.annotate("default/web", { touched: "by kubelet" });
    await quiet();
    expect(node.links("web")).toEqual(["eth0", "net2"]);
    expect(node.state("web").status).toEqual(["eth0 cluster", "net2 default/red"]);
  });

  test("of a pod that is being deleted changes nothing", async () => {
    const node = await createNode();
    await node.addPod("web", "blue@net1");
    node.cluster.setPod({
      ...node.podAt("web"),
      deletionTimestamp: new Date(0),
      annotations: { "k8s.v1.cni.cncf.io/networks": "red@net2" },
    });
    await quiet();
    expect(node.links("web")).toEqual(["eth0", "net1"]);
  });

  test.each(["HOST_NETWORK", "NAMESPACE_HIDDEN"] as const)(
    "of a pod that can't be plugged into (%s) is told to be of no effect, once",
    async (reason) => {
      const node = await createNode();
      node.world.sandboxes.failWith(new PodplugError(reason, "pod default/web can't"));
      await node.addPod("web", "blue@net1");
      node.cluster.annotate("default/web", { touched: "by kubelet" });
      await node.clock.advance(120_000);
      expect(node.events()).toEqual([expect.stringMatching(`^InterfaceAddRejected: .*${reason}`)]);
      await node.addPod("silent");
      expect(node.events()).toHaveLength(1);
    },
  );

  test("of Kaloom's form plugs beside the standard's, each touching only its own", async () => {
    const node = await createNode();
    node.world.networks.define("green", { namespace: "default" });
    await node.addPod("web", "blue@net1", { annotations: { networks: '[{"name":"green"}]' } });
    expect(node.links("web")).toEqual(["eth0", "net1", "net9f27410725ab"]);
    await node.setNetworks("web", "");
    expect(node.links("web")).toEqual(["eth0", "net9f27410725ab"]);
    node.cluster.annotate("default/web", { networks: undefined });
    await quiet();
    expect(node.state("web")).toEqual(nothing);
  });
});

describe("what others plugged", () => {
  test("by the API is shown in the status, and never touched", async () => {
    const node = await createNode();
    await node.addPod("web", "blue@net1");
    const orchestrator = node.world.as("orchestrator");
    const network = { name: "red", interface: "net7" };
    await orchestrator.attach({ target: podTarget("web"), network }, neverAborted);
    await quiet();
    expect(node.state("web")).toEqual(whole("net1 default/blue", "net7 default/red"));
    await node.setNetworks("web", "");
    expect(node.state("web")).toEqual(whole("net7 default/red"));
    await orchestrator.detach(
      { target: podTarget("web"), which: { by: "interface", interface: "net7" } },
      neverAborted,
    );
    await quiet();
    expect(node.state("web")).toEqual(nothing);
  });

  test.each(["before", "after"] as const)(
    "by the API %s the annotation's own step hung is shown in the status too",
    async (when) => {
      const node = await createNode();
      await node.addPod("web", "");
      const { promise, resolve } = Promise.withResolvers<void>();
      const plug = () =>
        node.world
          .as("orchestrator")
          .attach({ target: podTarget("web"), network: { name: "red", interface: "net7" } }, neverAborted);
      let plugging = when === "before" ? plug() : undefined;
      node.world.executor.holdOn("add", promise);
      await node.setNetworks("web", "blue@net1");
      plugging ??= plug();
      await quiet();
      resolve();
      await plugging;
      await quiet();
      expect(node.state("web").status.toSorted()).toEqual([
        "eth0 cluster",
        "net1 default/blue",
        "net7 default/red",
      ]);
    },
  );

  test("under a name that the annotation wants is in use until they let go of it", async () => {
    const node = await createNode();
    await node.addPod("web");
    const orchestrator = node.world.as("orchestrator");
    const network = { name: "red", interface: "net7" };
    await orchestrator.attach({ target: podTarget("web"), network }, neverAborted);
    await node.setNetworks("web", "blue@net7");
    expect(new Set(node.eventReasons())).toEqual(new Set(["InterfaceAddRejected"]));
    expect(node.state("web")).toEqual(whole("net7 default/red"));
    await orchestrator.detach(
      { target: podTarget("web"), which: { by: "interface", interface: "net7" } },
      neverAborted,
    );
    await quiet();
    expect(node.state("web")).toEqual(whole("net7 default/blue"));
  });

  test("at the pod's creation counts as there, also when unnamed, and stays", async () => {
    const node = await createNode();
    const status = [
      { name: "cluster", interface: "eth0", default: true, dns: {} },
      { name: "default/blue", interface: "net1", dns: {} },
      { name: "default/red", interface: "ens4", dns: {} },
      { name: "default/green", interface: "net3", dns: {} },
    ];
    const sandbox = await node.world.sandboxes.addPod({ namespace: "default", name: "web" });
    for (const name of ["net1", "ens4", "net3"]) node.world.interfaces.addLink(sandbox.netnsPath, { name });
    node.cluster.setPod({
      name: "web",
      uid: sandbox.pod?.uid ?? "",
      annotations: {
        "k8s.v1.cni.cncf.io/networks": "blue,red@ens4,blue",
        [networkStatusAnnotation]: JSON.stringify(status),
      },
    });
    await quiet();
    expect(node.world.linkNames(sandbox.netnsPath)).toEqual(["eth0", "net1", "ens4", "net3", "net2"]);
    expect(node.state("web").status).toEqual([
      "eth0 cluster",
      "net1 default/blue",
      "ens4 default/red",
      "net3 default/green",
      "net2 default/blue",
    ]);
    await node.setNetworks("web", "");
    expect(node.world.linkNames(sandbox.netnsPath)).toEqual(["eth0", "net1", "ens4", "net3"]);
    expect(node.statusOf("web")).toEqual(status);
  });
});

describe("a pod that KubeVirt runs", () => {
  const labels = { "kubevirt.io": "virt-launcher" };

  test("gets stable names that never look like netN", async () => {
    const node = await createNode();
    await node.addPod("vm", "blue,blue", { labels });
    const names = node.links("vm").slice(1);
    expect(names).toHaveLength(2);
    for (const name of names) expect(name).toMatch(/^plug[0-9a-f]{11}$/);
    await node.setNetworks("vm", "blue");
    expect(node.links("vm")).toEqual(["eth0", names[0]]);
  });

  test("isn't healed, and keeps its entry", async () => {
    const node = await createNode();
    await node.addPod("vm", "blue@pod37a8eec1ce1", { labels });
    node.world.interfaces.removeLink(node.netnsPath("vm"), "pod37a8eec1ce1");
    await node.clock.advance(600_000);
    expect(node.links("vm")).toEqual(["eth0"]);
    expect(node.state("vm").status).toEqual(["eth0 cluster", "pod37a8eec1ce1 default/blue"]);
  });
});

describe("network-status", () => {
  test("survives others who write the pod in between", async () => {
    const node = await createNode();
    await node.addPod("web");
    // The feed shows an old pod while somebody writes a new entry of theirs.
    node.cluster.holdFeed(true);
    const theirs = [{ name: "cluster", interface: "eth0", default: true, dns: {}, note: "theirs" }];
    node.cluster.annotate("default/web", { [networkStatusAnnotation]: JSON.stringify(theirs) });
    const orchestrator = node.world.as("orchestrator");
    const network = { name: "red", interface: "net7" };
    await orchestrator.attach({ target: podTarget("web"), network }, neverAborted);
    await quiet();
    expect(node.statusOf("web")).toMatchObject([{ note: "theirs" }, { interface: "net7" }]);
    // And once more from the same old pod: what was written is remembered.
    await orchestrator.attach(
      { target: podTarget("web"), network: { name: "red", interface: "net8" } },
      neverAborted,
    );
    await quiet();
    node.cluster.holdFeed(false);
    await quiet();
    expect(node.state("web").status).toEqual(["eth0 cluster", "net7 default/red", "net8 default/red"]);
  });

  test("that can't be read is written anew, and told in an event", async () => {
    const node = await createNode();
    await node.addPod("web", "blue@net1", { annotations: { [networkStatusAnnotation]: "[{broken" } });
    expect(node.state("web")).toEqual(whole("net1 default/blue"));
    expect(node.events()).toContainEqual(expect.stringMatching(/^NetworkStatusReplaced: .*\[\{broken/));
  });

  test("is written when the API server is back", async () => {
    const node = await createNode();
    await node.addPod("web");
    node.cluster.failWith(new PodplugError("UNREACHABLE", "the API server is away"));
    await node.setNetworks("web", "blue@net1");
    expect(node.links("web")).toEqual(["eth0", "net1"]);
    expect(node.statusOf("web")).toEqual([]);
    node.cluster.failWith(undefined);
    await node.clock.advance(30_000);
    expect(node.state("web")).toEqual(whole("net1 default/blue"));
  });

  test("of the first network doesn't wait for a second that hangs", async () => {
    const node = await createNode();
    await node.addPod("web", "blue@net1");
    const { promise, resolve } = Promise.withResolvers<void>();
    await node.setNetworks("web", "blue@net1,red@net2");
    node.world.executor.holdOn("add", promise);
    await node.addPod("other", "");
    await node.setNetworks("web", "blue@net1,red@net2,green@net3");
    expect(node.state("web").status).toEqual(["eth0 cluster", "net1 default/blue", "net2 default/red"]);
    resolve();
    await quiet();
    expect(node.state("web").status).toContain("net3 default/green");
  });
});

describe("a plugin that wants to be left alone", () => {
  test("is, also where the pod was there before the API had told what there is", async () => {
    const node = await createNode();
    await node.stopController();
    node.world.executor.failOn(
      "add",
      new PodplugError("PLUGIN_FAILED", "try again later", { retryAfterMs: 5_000 }),
      0,
    );
    await node.addPod("web", "blue@net1");
    await node.startController();
    await node.clock.advance(4_999);
    expect(node.world.executor.runs.filter((run) => run.startsWith("ADD"))).toEqual(["ADD net1"]);
    node.world.executor.failOn("add", undefined);
    await node.clock.advance(5_000);
    expect(node.state("web")).toEqual(whole("net1 default/blue"));
  });
});

describe("a controller that stops", () => {
  test("ends while a step hangs, and leaves no timer or reader behind", async () => {
    const node = await createNode();
    node.world.executor.holdOn("add", new Promise(() => undefined));
    await node.addPod("web", "blue@net1");
    await node.stopController();
    expect(node.events()).toEqual([]);
  });

  test("starts working once the API it had lost is back", async () => {
    const node = await createNode();
    node.apiAway(new PodplugError("UNREACHABLE", "the agent is away"));
    await node.world.engine.drain();
    await quiet();
    await node.addPod("web", "blue@net1");
    expect(node.links("web")).toEqual(["eth0"]);
    await node.clock.advance(120_000);
    expect(node.eventReasons()).toEqual([]);
    node.apiAway(undefined);
    await node.world.restart();
    await node.clock.advance(30_000);
    expect(node.state("web")).toEqual(whole("net1 default/blue"));
  });
});
