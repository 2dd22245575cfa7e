/** As contiv's users wrote it: two VXLAN networks, four containers, two hosts. */
export const example = {
  Hosts: [
    { Name: "host1", VtepIp: "192.168.2.10" },
    { Name: "host2", VtepIp: "192.168.2.11" },
  ],
  Tenants: [
    {
      Name: "tenant-one",
      DefaultNetType: "vxlan",
      SubnetPool: "11.1.0.0/16",
      AllocSubnetLen: 24,
      Vxlans: "10001-20000",
      Networks: [
        { Name: "orange", Endpoints: [{ Container: "container1" }, { Container: "container3" }] },
        { Name: "purple", Endpoints: [{ Container: "container2" }, { Container: "container4" }] },
      ],
    },
  ],
};
