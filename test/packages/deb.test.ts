import { existsSync, statSync } from "node:fs";
import { mkdir, readFile, readlink, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { buildDeb } from "../../scripts/packages/deb.ts";
import { eventually } from "../server/eventually.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { configure, layOutLater, linkOf, packages, podplugFiles, records, run, unit } from "./machine.ts";

/*
 * One machine's life with the package, from a test to the next one.
 */

const before = await podplugFiles();
let pod: TestNetns;
let configuration: string;
let attached: Awaited<ReturnType<typeof linkOf>>;

const laterDeb = async (version: string): Promise<string> => buildDeb(await layOutLater(version));

const shipped = [
  "/etc/podplug/config.yaml",
  "/usr/bin/kubectl-podplug",
  "/usr/bin/kubectl_complete-podplug",
  "/usr/bin/podplug",
  "/usr/bin/podplug-kubeconfig",
  "/usr/lib/podplug/bin/k8contivnet",
  "/usr/lib/podplug/bin/podagent",
  "/usr/lib/podplug/bin/podplug",
  "/usr/lib/podplug/koffi.node",
  "/usr/lib/podplug/plugins/podplug-uplink",
  "/usr/lib/podplug/renew-token",
  "/usr/lib/systemd/system/podplug-token.service",
  "/usr/lib/systemd/system/podplug-token.timer",
  "/usr/lib/systemd/system/podplug.service",
  "/usr/share/bash-completion/completions/podplug",
  "/usr/share/doc/podplug/changelog.gz",
  "/usr/share/doc/podplug/copyright",
  "/usr/share/doc/podplug/third-party-licenses.gz",
  "/usr/share/fish/vendor_completions.d/podplug.fish",
  "/usr/share/man/man1/podplug.1.gz",
  "/usr/share/man/man5/podplug-config.5.gz",
  "/usr/share/man/man8/podplug-kubeconfig.8.gz",
  "/usr/share/podplug/rbac.yaml",
  "/usr/share/podplug/token-rbac.yaml",
  "/usr/share/zsh/site-functions/_podplug",
];

const ipam = {
  type: "host-local",
  ranges: [[{ subnet: "10.77.0.0/24" }]],
  routes: [{ dst: "10.78.0.0/16" }],
};
const referenceNetworks: Readonly<Record<string, readonly object[]>> = {
  bridge: [
    { type: "bridge", bridge: "b0", isGateway: true, ipMasq: true, ipam },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "bandwidth", capabilities: { bandwidth: true } },
    { type: "firewall" },
    { type: "tuning", sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" }, mtu: 1400 },
    { type: "sbr" },
  ],
  macvlan: [{ type: "macvlan", master: "parent0", ipam }],
  ptp: [{ type: "ptp", ipMasq: true, ipam }],
  device: [{ type: "host-device", device: "spare0", ipam }],
};
const extras: Readonly<Record<string, readonly string[]>> = {
  bridge: ["--port-map", "8080:80", "--bandwidth", "ingress=10M,egress=10M"],
};

test("the package is no larger than 35 MB", () => {
  expect(statSync(packages.deb).size).toBeLessThanOrEqual(35_000_000);
});

test("it brings these files and no others, all of them root's, and none to be written to by others", async () => {
  const listed = (await run("dpkg-deb", "--contents", packages.deb)).trim().split("\n");
  const files = listed.flatMap((line) => {
    const [mode = "", owner = "", , , , path = ""] = line.split(/\s+/);
    expect(owner).toBe("root/root");
    if (!mode.startsWith("l")) expect(mode).toMatch(/^.rw.r-.r-.$/);
    return mode.startsWith("d") ? [] : [path.slice(1)];
  });
  expect(files.toSorted()).toEqual(shipped.toSorted());
});

test("what the executable links to comes with what the package depends on", async () => {
  const depends = await run("dpkg-deb", "--field", packages.deb, "Depends");
  await run("dpkg-deb", "--extract", packages.deb, "/tmp/extracted");
  for (const file of ["usr/bin/podplug", "usr/lib/podplug/koffi.node"]) {
    const linked = await run("ldd", `/tmp/extracted/${file}`);
    for (const [, library = ""] of linked.matchAll(/=> (\S+)/g)) {
      const owner = (await run("dpkg", "--search", `*/${library.split("/").at(-1)}`)).split(":")[0] ?? "";
      expect(depends).toContain(owner);
    }
  }
});

test("installing it starts the agent, which systemd hears of once it serves", async () => {
  await run("dpkg", "--install", packages.deb);
  expect([await unit("ActiveState"), await unit("UnitFileState")]).toEqual(["active", "enabled"]);
  expect(await unit("Result")).toBe("success");
  expect(existsSync("/run/podplug/podplug.sock")).toBe(true);
});

test("the agent sees the machine's mounts, has the unit's few capabilities, and its socket is root's", async () => {
  const pid = await unit("MainPID");
  expect(await readlink(`/proc/${pid}/ns/mnt`)).toBe(await readlink("/proc/1/ns/mnt"));
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  expect(status).toMatch(/^Seccomp:\t2$/m);
  expect(/^CapEff:\t(\w+)$/m.exec(status)?.[1]).toBe("0000000000283823");
  expect(statSync("/run/podplug/podplug.sock").mode & 0o777).toBe(0o600);
});

test("systemd finds no fault in the units", async () => {
  const units = ["podplug.service", "podplug-token.service", "podplug-token.timer"];
  expect(await run("systemd-analyze", "verify", ...units)).toBe("");
});

test("the installed executable attaches, lists, checks and detaches, by real plugins", async () => {
  configuration = await configure();
  pod = await makeNetns();
  await run("podplug", "attach", "--netns", pod.name, "blue", "--interface", "data0");
  expect(await run("podplug", "list")).toContain("data0");
  expect(await run("podplug", "check", "--netns", pod.name)).toContain("data0");
  await pod.run("ping", "-c", "1", "-W", "5", "10.42.1.1");
  await run("podplug", "detach", "--netns", pod.name, "blue");
  expect(await linkOf(pod, "data0")).toBeUndefined();
  expect(await records()).toEqual([]);
});

test("the installed executable is kubectl's plugin too, by its links", async () => {
  expect(await run("kubectl-podplug", "--help")).toContain("Usage: kubectl podplug");
  expect(await run("kubectl_complete-podplug", "att")).toContain("attach");
});

test("the names of predecessors start it too", async () => {
  expect(await run("/usr/lib/podplug/bin/podagent", "-version")).toMatch(/^\d+\.\d+\.\d+/);
  expect(await run("/usr/lib/podplug/bin/k8contivnet", "help")).toContain("k8contivnet");
});

test("what the unit forbids, no plugin of the reference ones needs", async () => {
  await run("ip", "link", "add", "parent0", "type", "veth", "peer", "name", "spare0");
  for (const [name, plugins] of Object.entries(referenceNetworks)) {
    const file = `/tmp/${name}.conflist`;
    await writeFile(file, JSON.stringify({ cniVersion: "1.0.0", name, plugins }));
    await run(
      "podplug",
      "attach",
      "--netns",
      pod.name,
      "--config-file",
      file,
      "--interface",
      "x0",
      ...(extras[name] ?? []),
    );
    await run("podplug", "detach", "--netns", pod.name, "--interface", "x0");
  }
  expect(await records()).toEqual([]);
});

test("an upgrade starts the new agent, and keeps the edited configuration and what is plugged", async () => {
  await run("podplug", "attach", "--netns", pod.name, "blue", "--interface", "data0");
  attached = await linkOf(pod, "data0");
  const pid = await unit("MainPID");
  await run("dpkg", "--install", "--force-confdef", await laterDeb("99.1"));
  expect(await unit("ActiveState")).toBe("active");
  expect(await unit("MainPID")).not.toBe(pid);
  expect(await readFile("/etc/podplug/config.yaml", "utf8")).toBe(configuration);
  expect(attached).toBeDefined();
  expect(await linkOf(pod, "data0")).toEqual(attached);
  expect(await run("podplug", "list")).toMatch(/data0 .* attached/);
});

const later = await laterDeb("99.2");
test.each([
  ["stopped", ["stop"]],
  ["disabled", ["disable", "--now"]],
  ["masked", ["mask", "--now"]],
])("an upgrade starts no agent that the administrator has %s", async (_word, how) => {
  await run("systemctl", ...how, "podplug.service");
  await run("dpkg", "--install", "--force-confdef", later);
  expect(await unit("ActiveState")).toBe("inactive");
  await run("systemctl", "unmask", "podplug.service");
  await run("systemctl", "enable", "--now", "podplug.service");
  expect(await linkOf(pod, "data0")).toEqual(attached);
});

test("removed and installed again it starts the agent, and the token's timer where that is enabled", async () => {
  const timer = (): Promise<string> => unit("ActiveState", "podplug-token.timer");
  await run("systemctl", "enable", "--now", "podplug-token.timer");
  await run("dpkg", "--remove", "podplug");
  expect([await unit("ActiveState"), await timer()]).toEqual(["inactive", "inactive"]);
  await run("dpkg", "--install", "--force-confold", packages.deb);
  expect([await unit("ActiveState"), await timer()]).toEqual(["active", "active"]);
  expect(await linkOf(pod, "data0")).toEqual(attached);
});

test("removing it stops the agent, leaves what is plugged with its records and the configuration, and says so", async () => {
  const said = await run("dpkg", "--remove", "podplug");
  expect(said).toContain("what is plugged stays in the running pods, with its records in /var/lib/podplug");
  expect(existsSync("/run/podplug/podplug.sock")).toBe(false);
  expect(existsSync("/usr/bin/podplug")).toBe(false);
  expect(await linkOf(pod, "data0")).toEqual(attached);
  expect(await readFile("/etc/podplug/config.yaml", "utf8")).toBe(configuration);
  expect(await records()).toHaveLength(1);
});

test("purging it keeps the records of what is still plugged, by which a later installation unplugs it", async () => {
  expect(await run("dpkg", "--purge", "podplug")).toContain("/var/lib/podplug stays");
  expect(existsSync("/etc/podplug/config.yaml")).toBe(false);
  await run("dpkg", "--install", packages.deb);
  await configure();
  await run("podplug", "detach", "--netns", pod.name, "blue");
  expect(await linkOf(pod, "data0")).toBeUndefined();
});

test("purging it leaves what another agent is running on, a DaemonSet's", async () => {
  await run("dpkg", "--remove", "podplug");
  await run("systemd-run", "--unit", "other", "flock", "/var/lib/podplug/lock", "sleep", "infinity");
  await eventually(
    () =>
      run("flock", "--nonblock", "/var/lib/podplug/lock", "true").then(
        () => false,
        () => true,
      ),
    "it is held",
  );
  expect(await run("dpkg", "--purge", "podplug")).toContain("another agent is running on them");
  expect([existsSync("/var/lib/podplug/results"), existsSync("/run/podplug")]).toEqual([true, true]);
  await run("systemctl", "stop", "other");
});

test("purging it keeps what its plugin counts for others than the agent", async () => {
  await run("dpkg", "--install", packages.deb);
  await mkdir("/run/podplug/uplinks/1-ppvx5", { recursive: true });
  await run("dpkg", "--purge", "podplug");
  expect([existsSync("/var/lib/podplug"), existsSync("/run/podplug/uplinks/1-ppvx5")]).toEqual([false, true]);
  await run("rmdir", "/run/podplug/uplinks/1-ppvx5");
  await run("dpkg", "--install", packages.deb);
});

test("purged with nothing plugged, nothing of it is left but the administrator's networks", async () => {
  await run("dpkg", "--purge", "podplug");
  await pod[Symbol.asyncDispose]();
  expect(await podplugFiles()).toEqual([...before, "/etc/podplug"].toSorted());
  expect(await run("find", "/etc/podplug", "-type", "f")).toBe("/etc/podplug/networks.d/blue.conflist\n");
  await run("rm", "-r", "/etc/podplug");
  expect(await run("systemctl", "list-unit-files", "--no-legend", "podplug*").catch(() => "")).toBe("");
});
