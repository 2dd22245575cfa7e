import { readFileSync } from "node:fs";
import { join } from "node:path";

/* What is valid at each door, for the fuzzer to break. */

export const annotations = [
  "net-a",
  "demo/net-a@eth1, net-b",
  JSON.stringify([
    {
      name: "net-a",
      namespace: "demo",
      interface: "net1",
      ips: ["192.0.2.1/24", "2001:db8::1/64"],
      mac: "02:00:00:00:00:01",
      "default-route": ["192.0.2.254"],
      "cni-args": { key: ["value", { deep: null }] },
      bandwidth: { ingressRate: 1000, ingressBurst: 2000 },
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }],
      "infiniband-guid": "02:00:00:00:00:00:00:01",
    },
  ]),
  JSON.stringify([{ name: "net-a", ifMac: "02:00:00:00:00:01", isPrimary: false, upperLayers: [] }]),
];

export const networkLists = [
  JSON.stringify({
    cniVersion: "1.0.0",
    cniVersions: ["0.4.0", "1.0.0"],
    name: "blue",
    disableCheck: true,
    plugins: [
      {
        type: "bridge",
        bridge: "br0",
        capabilities: { ips: true, mac: true },
        ipam: { type: "host-local", ranges: [[{ subnet: "192.0.2.0/24" }]] },
      },
      { type: "bandwidth", capabilities: { bandwidth: true } },
    ],
  }),
  JSON.stringify({
    cniVersion: "0.3.1",
    name: "red",
    type: "macvlan",
    master: "eth0",
    mtu: 9007199254740991,
  }),
];

export const outputs = [
  JSON.stringify({
    cniVersion: "1.0.0",
    interfaces: [{ name: "net1", mac: "02:00:00:00:00:01", sandbox: "/run/netns/a" }],
    ips: [{ address: "192.0.2.2/24", gateway: "192.0.2.1", interface: 0 }],
    routes: [{ dst: "0.0.0.0/0", gw: "192.0.2.1" }],
    dns: { nameservers: ["192.0.2.53"], search: ["example.org"] },
  }),
  JSON.stringify({
    cniVersion: "0.2.0",
    ip4: { ip: "192.0.2.2/24", gateway: "192.0.2.1", routes: [{ dst: "0.0.0.0/0" }] },
    ip6: { ip: "2001:db8::2/64" },
  }),
  JSON.stringify({ cniVersion: "1.0.0", code: 11, msg: "try again later", details: "the pool is busy" }),
];

/** Every key with its default, section by section: whole, it would take most of the time to parse. */
const sections = (
  readFileSync(join(import.meta.dirname, "../../docs/configuration.md"), "utf8")
    .split("```yaml\n")
    .at(-1) ?? ""
)
  .replace(/```\n*$/, "")
  .replaceAll(/^ *#.*\n/gm, "")
  .split(/^(?=\w)/m);

export const configurations = [
  ...sections,
  "runtime: netns\nnetworks: [{ directory: /etc/podplug/networks.d }]\ncontroller: { enabled: false }\n",
  'api: { listen: "0.0.0.0:7654", tls: { certFile: /c, keyFile: /k }, auth: { tokenReview: true } }\n',
  "api:\n  auth:\n    rules:\n      - &a { users: [me], verbs: [get], resources: [podnetworks] }\n      - *a\n",
  '{"criSocketPath": "/run/crio/crio.sock", "multusSocketPath": "/run/multus/multus.sock", "criType": "crio"}',
];

export const statuses = [
  JSON.stringify([
    {
      name: "cluster",
      interface: "eth0",
      ips: ["10.244.0.5"],
      mac: "02:00:00:00:00:02",
      default: true,
      dns: {},
    },
    { name: "demo/net-a", interface: "net1", ips: ["192.0.2.2"], dns: {}, "device-info": { type: "pci" } },
  ]),
];
