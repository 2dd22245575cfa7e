import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../server/eventually.ts";
import type { IpLink } from "../support/netns.ts";
import { example } from "./example.ts";
import { type ContivPod, type Host, makeTwoHosts, type TwoHosts } from "./two-hosts.ts";

// Four pods on two hosts, whose agents may share two processors with other tests.
const patience = { timeout: 180_000 };

let hosts: TwoHosts;
let container1: ContivPod;
let container2: ContivPod;
let container3: ContivPod;
let container4: ContivPod;

beforeAll(async () => {
  hosts = await makeTwoHosts();
  container1 = await hosts.host1.startPod("container1");
  container2 = await hosts.host1.startPod("container2");
  container3 = await hosts.host2.startPod("container3");
  container4 = await hosts.host2.startPod("container4");
}, patience.timeout);
afterAll(() => hosts[Symbol.asyncDispose](), patience.timeout);

/** Resolves once the pod's kernel, the API and network-status say that it has these. */
async function has(pod: ContivPod, ...networks: readonly string[]): Promise<void> {
  let last: unknown;
  const isSo = async (): Promise<boolean> => {
    const now = {
      kernel: (await pod.addresses()).map((line) => line.split(" ")[1]),
      api: await pod.networks(),
      status: pod.status().filter((line) => line.startsWith("tenant-")),
    };
    last = now;
    const bare = networks.map((line) => line.split("/").slice(0, 2).join("/"));
    return (
      now.kernel.join() === networks.map((line) => line.split(" ")[1]).join() &&
      now.api.join() === networks.join() &&
      now.status.join() === bare.join()
    );
  };
  await eventually(isSo, `${pod.name} has ${networks.join(", ") || "none"}`).catch((cause: unknown) => {
    throw new Error(`it is ${JSON.stringify({ last, events: hosts.events() })}`, { cause });
  });
}

/** Resolves once nothing is there that podplug made. */
async function isClean(host: Host): Promise<void> {
  let last: readonly string[] = [];
  const isSo = async (): Promise<boolean> => {
    last = await host.remains();
    return last.join() === "lo,eth0";
  };
  await eventually(isSo, `nothing is left on ${host.name}`).catch((cause: unknown) => {
    throw new Error(`${host.name} has ${last.join()}`, { cause });
  });
}

/** Bridges that were made a moment ago forward after they have learnt their way. */
async function reaches(pod: ContivPod, address: string): Promise<void> {
  await eventually(() => pod.reaches(address), `${pod.name} reaches ${address}`);
}

describe("contiv's example on two hosts", () => {
  test("gives each container the address that follows from the intent", patience, async () => {
    await has(container1, "tenant-one/orange 11.1.0.1/24");
    await has(container2, "tenant-one/purple 11.1.1.1/24");
    await has(container3, "tenant-one/orange 11.1.0.2/24");
    await has(container4, "tenant-one/purple 11.1.1.2/24");
  });

  test(
    "lets pods of one network reach each other across the hosts, with packets of full size",
    patience,
    async () => {
      await reaches(container1, "11.1.0.2");
      await reaches(container3, "11.1.0.1");
      await reaches(container2, "11.1.1.2");
      await reaches(container4, "11.1.1.1");
      const full = ["-c", "1", "-W", "5", "-M", "do", "-s", `${1450 - 28}`];
      expect(await container1.netns.run("ping", ...full, "11.1.0.2")).toContain("1 received");
    },
  );

  test("lets no packet from one network into another, on one host or across", patience, async () => {
    // As if both subnets were on each wire: whatever came across would be answered.
    for (const pod of [container1, container3]) {
      await pod.netns.ip("route", "add", "11.1.1.0/24", "dev", "net1");
    }
    for (const pod of [container2, container4]) {
      await pod.netns.ip("route", "add", "11.1.0.0/24", "dev", "net1");
    }
    expect(await container1.reaches("11.1.1.1")).toBe(false);
    expect(await container1.reaches("11.1.1.2")).toBe(false);
    expect(await container2.reaches("11.1.0.1")).toBe(false);
    expect(await container2.reaches("11.1.0.2")).toBe(false);
    await reaches(container1, "11.1.0.2");
  });

  test("learns of hosts that come and go, without touching a pod", patience, async () => {
    const before = await container1.netns.ipJson<IpLink[]>("link", "show", "net1");
    const remotes = async (): Promise<string> => {
      const lines = await hosts.host1.netns.run("bridge", "fdb", "show", "dev", "ppvx10001-up");
      const found = Array.from(lines.matchAll(/^00:00:00:00:00:00 dst (\S+)/gm), ([, remote]) => remote);
      return found.toSorted().join();
    };
    expect(await remotes()).toBe("192.168.2.11");
    await hosts.writeIntent({
      ...example,
      Hosts: [...example.Hosts, { Name: "host3", VtepIp: "192.168.2.12" }],
    });
    const both = "192.168.2.11,192.168.2.12";
    await eventually(async () => (await remotes()) === both, "host3 is known on host1");
    await hosts.writeIntent(example);
    await eventually(async () => (await remotes()) === "192.168.2.11", "host3 is forgotten");
    const [link] = await container1.netns.ipJson<IpLink[]>("link", "show", "net1");
    expect(link).toMatchObject({ ifindex: before[0]?.ifindex, address: before[0]?.address });
  });

  test("is caught up with by an agent that was killed before an edit", patience, async () => {
    const [tenant] = example.Tenants;
    const before = await container1.netns.ipJson<IpLink[]>("link", "show", "net1");
    const withoutPurple = { ...example, Tenants: [{ ...tenant, Networks: tenant?.Networks.slice(0, 1) }] };
    await hosts.host1.killAndRestart(() => hosts.writeIntent(withoutPurple));
    await has(container2);
    await has(container4);
    const [link] = await container1.netns.ipJson<IpLink[]>("link", "show", "net1");
    expect(link).toMatchObject({ ifindex: before[0]?.ifindex, address: before[0]?.address });
    await reaches(container1, "11.1.0.2");
    await hosts.writeIntent(example);
    await has(container2, "tenant-one/purple 11.1.1.1/24");
    await has(container4, "tenant-one/purple 11.1.1.2/24");
    await reaches(container2, "11.1.1.2");
  });

  test(
    "an edit plugs and unplugs running pods, and one that is broken touches nothing",
    patience,
    async () => {
      const tenant = example.Tenants[0];
      const [orange, purple] = tenant?.Networks ?? [];
      const withNetworks = (...networks: readonly object[]): object => ({
        ...example,
        Tenants: [{ ...tenant, Networks: networks }],
      });
      const white = {
        Name: "white",
        SubnetCIDR: "12.0.0.0/24",
        DefaultGw: "12.0.0.254",
        Endpoints: [{ Container: "container1" }, { Container: "container4", IPAddress: "12.0.0.44" }],
      };
      await hosts.writeIntent(withNetworks({ ...orange }, { ...purple }, white));
      await has(container1, "tenant-one/orange 11.1.0.1/24", "tenant-one/white 12.0.0.1/24");
      await has(container4, "tenant-one/purple 11.1.1.2/24", "tenant-one/white 12.0.0.44/24");
      await reaches(container1, "12.0.0.44");
      const before = await container1.addresses();

      await hosts.writeIntent(
        withNetworks({ ...orange }, { ...purple }, { ...white, DefaultGw: "13.0.0.1" }),
      );
      await eventually(
        () => hosts.events().some((event) => event.includes("Networks[2].DefaultGw: 13.0.0.1")),
        "the fault is told",
      );
      expect(await container1.addresses()).toEqual(before);
      await reaches(container1, "11.1.0.2");

      await hosts.writeIntent(withNetworks({ ...orange, Endpoints: [{ Container: "container1" }] }));
      await has(container1, "tenant-one/orange 11.1.0.1/24");
      for (const pod of [container2, container3, container4]) await has(pod);
      await isClean(hosts.host2);
    },
  );

  test("nothing is left when the intent has no networks", patience, async () => {
    await hosts.writeIntent({ ...example, Tenants: [] });
    for (const pod of [container1, container2, container3, container4]) await has(pod);
    await isClean(hosts.host1);
    await isClean(hosts.host2);
  });
});
