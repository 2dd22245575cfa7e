import { describe, expect, test } from "vitest";
import { readIntent } from "../../src/contiv/read-intent.ts";
import type { NetworkSelection } from "../../src/domain/selection.ts";
import { createCatalogs } from "../../src/networks/catalogs.ts";
import { createContivCatalog } from "../../src/networks/contiv.ts";
import { example } from "../contiv/example.ts";
import { createFakeNetworks } from "../fakes/fake-networks.ts";
import { failure } from "../support/failure.ts";

const { signal } = new AbortController();

function catalogOf(intent: unknown = example, hostName = "host1") {
  const read = readIntent(JSON.stringify(intent));
  const file = { path: "/etc/intent.json", current: () => read, async *changes() {} };
  const catalog = createContivCatalog({ file, hostName });
  return {
    catalog,
    find: (selection: NetworkSelection) => catalog.find(selection, "default", signal),
  };
}

const orange = { name: "orange", namespace: "tenant-one", ips: ["11.1.0.1/24"] };

describe("contiv's networks", () => {
  test("are a bridge with a VXLAN to the other hosts, and the address that is asked for", async () => {
    const found = await catalogOf().find(orange);
    expect(found).toMatchObject({ displayName: "tenant-one/orange", source: "contiv" });
    expect(JSON.parse(found.config)).toEqual({
      cniVersion: "1.0.0",
      name: "tenant-one.orange",
      plugins: [
        {
          type: "podplug-uplink",
          uplink: "vxlan 10001 192.168.2.10 192.168.2.11",
          capabilities: { ips: true },
        },
        {
          type: "bridge",
          bridge: "ppvx10001",
          mtu: 1450,
          ipam: { type: "static", addresses: [{ address: "11.1.0.1/24" }] },
        },
      ],
    });
  });

  test("or with a VLAN on the host's interface, and the gateway that is given", async () => {
    const { find } = catalogOf({
      Hosts: [{ Name: "host1", Intf: "eth1" }],
      Tenants: [
        {
          Name: "tenant-one",
          DefaultNetType: "vlan",
          Vlans: "7",
          Networks: [{ Name: "orange", SubnetCIDR: "11.1.0.0/16", DefaultGw: "11.1.255.254" }],
        },
      ],
    });
    expect(JSON.parse((await find({ ...orange, ips: ["11.1.0.1"] })).config)).toMatchObject({
      plugins: [
        { uplink: "vlan 7 eth1" },
        {
          bridge: "ppvl7",
          ipam: { addresses: [{ address: "11.1.0.1/16", gateway: "11.1.255.254" }] },
        },
      ],
    });
  });

  test("are NETWORK_NOT_FOUND without their tenant, or where there is none", async () => {
    const { find } = catalogOf();
    await expect(find({ ...orange, namespace: undefined })).rejects.toEqual(
      failure("NETWORK_NOT_FOUND", "TENANT/NETWORK"),
    );
    await expect(find({ ...orange, name: "black" })).rejects.toEqual(
      failure("NETWORK_NOT_FOUND", "tenant-one/black"),
    );
  });

  test("need an address of their subnet", async () => {
    const { find } = catalogOf();
    await expect(find({ ...orange, ips: undefined })).rejects.toEqual(
      failure("INVALID_SELECTION", "11.1.0.0/24"),
    );
    await expect(find({ ...orange, ips: ["11.1.1.1/24"] })).rejects.toEqual(
      failure("INVALID_SELECTION", "11.1.1.1"),
    );
  });

  test("can't be had on a host that the intent doesn't know, or knows too little of", async () => {
    await expect(catalogOf(example, "host3").find(orange)).rejects.toEqual(
      failure("INVALID_NETWORK", "host3"),
    );
    const without = { ...example, Hosts: [{ Name: "host1" }] };
    await expect(catalogOf(without).find(orange)).rejects.toEqual(failure("INVALID_NETWORK", "VtepIP"));
  });

  test("can't be had from an intent with faults, which are told", async () => {
    await expect(catalogOf({ Hosts: [{}] }).find(orange)).rejects.toEqual(
      failure("INVALID_NETWORK", "Hosts[0].Name"),
    );
  });

  test("are for whoever asks for contiv's alone: a name without a source doesn't lead there", async () => {
    const catalogs = createCatalogs([
      { source: "netAttachDef", catalog: createFakeNetworks() },
      { source: "contiv", catalog: catalogOf().catalog },
    ]);
    await expect(catalogs.find(orange, "default", signal)).rejects.toEqual(failure("NETWORK_NOT_FOUND"));
    const found = await catalogs.find({ ...orange, source: "contiv" }, "default", signal);
    expect(found.displayName).toBe("tenant-one/orange");
  });
});
