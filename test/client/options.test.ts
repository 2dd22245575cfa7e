import fc from "fast-check";
import { expect, test } from "vitest";
import { parseDurationMs, parseQuantity } from "../../src/client/cli/options/scalars.ts";
import type { AttachRequest } from "../../src/domain/node-api.ts";
import { createFakeNode } from "../fakes/fake-node-api.ts";
import { cli } from "./cli-in-memory.ts";

/** The request that a command line makes of the node. */
async function requestOf(args: readonly string[], stdin?: string): Promise<AttachRequest> {
  const requests: AttachRequest[] = [];
  const api = createFakeNode().apiFor({ name: "tester", reconciler: false });
  await cli(["attach", ...args], {
    ...(stdin !== undefined && { stdin }),
    api: {
      ...api,
      attach(request, signal) {
        requests.push(request);
        return api.attach(request, signal);
      },
    },
  });
  const [request] = requests;
  if (request === undefined) throw new Error("no request was made");
  return request;
}

test("every option of attach arrives in its field of the request", async () => {
  const args = [
    ..."-n demo web infra/net-a --interface data0 --ip 10.1.2.3/24 --ip fd00::1 --mac 02:00:00:AA:00:01".split(
      " ",
    ),
    ..."--default-route 10.1.2.1 --default-route fd00::2 --device 0000:03:02.0 --infiniband-guid C2:11:22:33:44:55:66:77".split(
      " ",
    ),
    ..."--bandwidth ingress=10M,egress=1.5G,ingress-burst=64Ki,egress-burst=8000 --port-map 8080:80".split(
      " ",
    ),
    ..."--port-map 192.0.2.1:5353:53/UDP --port-map [2001:db8::1]:1:2/sctp --source netAttachDef".split(" "),
    ..."--dry-run --key k1 --replace --cni-args".split(" "),
    '{"vlan": 7}',
  ];
  expect(await requestOf(args)).toEqual({
    target: { kind: "pod", pod: { namespace: "demo", name: "web" } },
    network: {
      name: "net-a",
      namespace: "infra",
      interface: "data0",
      ips: ["10.1.2.3/24", "fd00::1"],
      mac: "02:00:00:aa:00:01",
      defaultRoute: { gateways: ["10.1.2.1", "fd00::2"] },
      deviceId: "0000:03:02.0",
      infinibandGuid: "c2:11:22:33:44:55:66:77",
      bandwidth: { ingressRate: 10e6, egressRate: 1.5e9, ingressBurst: 65_536, egressBurst: 8000 },
      portMappings: [
        { hostPort: 8080, containerPort: 80, protocol: "tcp" },
        { hostIp: "192.0.2.1", hostPort: 5353, containerPort: 53, protocol: "udp" },
        { hostIp: "2001:db8::1", hostPort: 1, containerPort: 2, protocol: "sctp" },
      ],
      source: "netAttachDef",
      cniArgs: { vlan: 7 },
    },
    validateOnly: true,
    key: "k1",
    replace: true,
  });
  expect((await requestOf(["web", "net-a", "--ipam-claim", "claim"])).network.ipamClaimReference).toBe(
    "claim",
  );
});

test("a default route may be left to the plugin", async () => {
  const { network } = await requestOf(["web", "net-a", "--default-route", "plugin"]);
  expect(network.defaultRoute).toEqual({ gateways: [] });
});

test("an inline configuration is read from a file or from standard input", async () => {
  const config = '{"name": "x", "type": "bridge"}';
  const { network } = await requestOf(["web", "--config-file", "-"], config);
  expect(network).toEqual({ config });
  const read = await requestOf(["--netns", "blue", "--config-file", "package.json"]);
  expect(read.network.config).toContain('"name": "podplug"');
});

test.each([
  [["web", "net-a"], { kind: "pod", pod: { namespace: "default", name: "web" } }],
  [["demo/web", "net-a"], { kind: "pod", pod: { namespace: "demo", name: "web" } }],
  [["-n", "demo", "demo/web", "net-a"], { kind: "pod", pod: { namespace: "demo", name: "web" } }],
  [["--netns", "/run/netns/a", "net-a"], { kind: "netns", netns: "/run/netns/a" }],
  [["--container", "4f", "net-a"], { kind: "container", containerId: "4f" }],
])("attach %j has the target %j", async (args, target) => {
  expect((await requestOf(args)).target).toEqual(target);
});

test.each([
  ["10M", 10_000_000],
  ["1.1G", 1_100_000_000],
  ["0.29k", 290],
  ["64Ki", 65_536],
  ["8000", 8000],
  ["2T", 2e12],
  ["0.5", undefined],
  ["1.0001k", undefined],
  ["10MB", undefined],
  ["-1", undefined],
  ["1e9", undefined],
  ["99999T", undefined],
  ["", undefined],
])("quantity %j is %j", (text, quantity) => {
  expect(parseQuantity(text)).toBe(quantity);
});

test.each([
  ["90", 90_000],
  ["1.5m", 90_000],
  ["500ms", 500],
  ["1h", 3_600_000],
])("duration %j is %j ms", (text, durationMs) => {
  expect(parseDurationMs(text)).toBe(durationMs);
});

test.each(["0", "-1s", "soon", "", "1d", "9999999h", "1 s"])("%j is no duration", (text) => {
  expect(() => parseDurationMs(text)).toThrow("Use a duration");
});

test("no command line, however odd, ends in anything but an exit code", async () => {
  const api = createFakeNode().apiFor({ name: "tester", reconciler: false });
  const word = fc.oneof(
    fc.constantFrom("attach", "detach", "list", "check", "info", "help", "completion", "__complete"),
    fc.constantFrom(
      "-n",
      "-A",
      "-o",
      "json",
      "--",
      "-",
      "=",
      "--ip",
      "--bandwidth",
      "--port-map",
      "--cni-args",
      "--timeout",
    ),
    fc.constantFrom(
      "--netns",
      "--interface",
      "--id",
      "--replace",
      "--server",
      "--no-color",
      "--source",
      "web",
      "demo/web",
    ),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 8 }), async (args) => {
      const { code } = await cli(args, { api });
      expect([0, 1, 2, 3, 4, 5]).toContain(code);
    }),
    { numRuns: 300 },
  );
});
