import type { AttachmentRecord } from "../../src/attachments/journal.ts";

/** A whole record of a bridge network, for tests to change what they are about. */
export function recordOf(changes: Partial<AttachmentRecord> = {}): AttachmentRecord {
  return {
    id: "a-1",
    state: "attached",
    sandbox: {
      id: "netns-1",
      netnsPath: "/run/netns/a",
      netns: { bootId: "boot", inode: "4:1", cookie: "7" },
    },
    ifName: "net1",
    target: { kind: "netns", netns: "/run/netns/a" },
    network: "blue",
    selection: { name: "blue", interface: "net1" },
    owner: "tester",
    key: "",
    caller: "tester",
    executor: "direct",
    chain: {
      networkName: "blue",
      config: '{"cniVersion":"1.0.0","name":"blue","plugins":[{"type":"bridge"}]}',
      cniArgs: [],
      capabilityArgs: {},
      result: { cniVersion: "1.0.0", ips: [{ address: "10.0.0.2/24", gateway: "10.0.0.1" }] },
      ifIndex: 2,
    },
    attachedAt: new Date("2026-01-02T03:04:05.678Z"),
    ...changes,
  };
}
