import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { neverAborted } from "../../src/domain/signals.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";
import { type IpLink, makeNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { readableLog, runAgentProgram, toldOf } from "./agent-program.ts";
import { startContained } from "./contained-agent.ts";

/* The capabilities of component least-privilege: all of them do the job, and without each but NET_RAW something fails here. */

interface DaemonSetPatch {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
        }[];
      };
    };
  };
}

const component = join(
  import.meta.dirname,
  "../../deploy/kubernetes/components/least-privilege/daemonset.yaml",
);
const patch = parse(await readFile(component, "utf8")) as DaemonSetPatch;
const granted = patch.spec.template.spec.containers[0]?.securityContext.capabilities.add ?? [];

/** A command that runs another with these alone. */
function withOnly(capabilities: readonly string[]): readonly string[] {
  const words = capabilities.map((name) => `+${name.toLowerCase()}`);
  return ["setpriv", `--bounding-set=${["-all", ...words].join(",")}`];
}
const without = (capability: string): readonly string[] => {
  expect(granted).toContain(capability);
  return withOnly(granted.filter((each) => each !== capability));
};

async function makeContainedNode(): Promise<TestNode> {
  const node = await makeNode({ config: { hostRoot: "/proc/1/root", ...readableLog } });
  await node.defineNetwork("tuned", [node.bridgePlugin(), { type: "tuning", promisc: true }]);
  return node;
}

const tuned = { name: "tuned", interface: "net1" } as const;
const net1 = { by: "interface", interface: "net1" } as const;

test("with all of them networks are plugged, watched over and unplugged", async () => {
  await using node = await makeContainedNode();
  await using netns = await makeNetns("capable");
  await using agent = await startContained(node, { before: withOnly(granted) });
  const status = await readFile(`/proc/${agent.program.pid}/status`, "utf8");
  expect(/^CapEff:\t(?<set>[0-9a-f]+)$/m.exec(status)?.groups?.["set"]).toMatch(/^0*2c3802$/);
  const target = { kind: "netns", netns: netns.path } as const;
  await agent.client.attach({ target, network: tuned }, neverAborted);
  await netns.ip("link", "delete", "net1");
  await eventually(
    async () => (await netns.ipJson<IpLink[]>("link")).some(({ ifname }) => ifname === "net1"),
    "net1 is back",
  );
  expect(await agent.client.detach({ target, which: net1 }, neverAborted)).toMatchObject({ detached: true });
  expect(await node.leases()).toEqual([]);
});

test.each(["SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"])(
  "without %s the agent doesn't start, and names it",
  async (capability) => {
    await using node = await makeContainedNode();
    const end = await runAgentProgram(node.configFile, without(capability));
    const [, said = ""] = /^podplug agent: (.*)$/m.exec(end.stderr) ?? [];
    expect(said).toContain(`CAP_${capability}`);
    expect(end.stderr).toContain(toldOf("PRIVILEGE_MISSING", said));
  },
);

test.each([
  ["NET_ADMIN", "bridge"],
  ["DAC_OVERRIDE", "tuning"],
])("without %s plugin %s fails, and what was begun is undone", async (capability, plugin) => {
  await using node = await makeContainedNode();
  await using netns = await makeNetns("capable");
  await using agent = await startContained(node, { before: without(capability) });
  const target = { kind: "netns", netns: netns.path } as const;
  await expect(agent.client.attach({ target, network: tuned }, neverAborted)).rejects.toEqual(
    failure("PLUGIN_FAILED", `plugin ${plugin} failed ADD`),
  );
  await eventually(async () => (await node.journalFiles()).length === 0, "it is undone");
  expect((await netns.ipJson<IpLink[]>("link")).map(({ ifname }) => ifname)).toEqual(["lo"]);
});

test("without NET_BROADCAST the agent says that the kernel doesn't tell it of changes", async () => {
  await using node = await makeContainedNode();
  await using netns = await makeNetns("capable");
  await using agent = await startContained(node, { before: without("NET_BROADCAST") });
  const target = { kind: "netns", netns: netns.path } as const;
  await agent.client.attach({ target, network: tuned }, neverAborted);
  const line = await agent.program.logs("the kernel's events can't be had; changes are found at intervals");
  expect(line.facts).toMatchObject({ err: { message: expect.stringContaining("EPERM") } });
  await agent.client.detach({ target, which: net1 }, neverAborted);
});
