import { PodplugError } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { CniAttachment, Executor, ValidAttachment } from "../../src/executor/contract.ts";
import type { FakeInterfaces } from "./fake-interfaces.ts";

type Verb = "add" | "del" | "check" | "gc";
const allSteps = 2;

/**
 * Plugins in memory: ADD leases an address and makes a link in the fake
 * kernel, DEL gives both back by (container, interface). Which capabilities a
 * network has stands in its configuration, as for the real ones. A plugin of
 * type `device` makes no link, as one that leaves a device to user space, and
 * its CHECK looks for none.
 */
export interface FakeExecutor extends Executor {
  /** `containerId ifName` of every leased address, sorted. */
  leases(): readonly string[];
  /** Leases an address for somebody whom no engine knows. */
  lease(containerId: string, ifName: string): void;
  /** Its own name among them: what is interrupted goes on. */
  readonly daemons: string[];
  /** What ran, as `ADD net1`, in order. */
  readonly runs: string[];
  /** How many run at this moment, and the most that ever did. */
  readonly load: { now: number; most: number };
  /**
   * The verb fails with it, until cleared with `undefined`, when that many of
   * its two steps are done (both unless told otherwise), as the second plugin
   * of a chain would: ADD leases and makes the link, DEL removes it and gives
   * the lease back.
   */
  failOn(verb: Verb, error: PodplugError | undefined, afterSteps?: number): void;
  /** The verb waits for it once it has begun. */
  holdOn(verb: Verb, until: Promise<void> | undefined): void;
}

interface FakePlugin {
  readonly type: string;
  /** The first three bytes of the addresses that it leases. */
  readonly subnet?: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
}

export function createFakeExecutor(interfaces: FakeInterfaces): FakeExecutor {
  const leased = new Map<string, number>();
  const failures = new Map<Verb, { readonly error: PodplugError; readonly afterSteps: number }>();
  const holds = new Map<Verb, Promise<void>>();
  const runs: string[] = [];
  const load = { now: 0, most: 0 };

  async function run<T>(verb: Verb, what: string, work: (steps: number) => T): Promise<T> {
    runs.push(`${verb.toUpperCase()} ${what}`);
    load.now += 1;
    load.most = Math.max(load.most, load.now);
    try {
      await (holds.get(verb) ?? new Promise((resolve) => setImmediate(resolve)));
      const failure = failures.get(verb);
      const result = work(failure?.afterSteps ?? allSteps);
      if (failure) throw failure.error;
      return result;
    } finally {
      load.now -= 1;
    }
  }

  function lowestFreeHost(): number {
    const taken = new Set(leased.values());
    let host = 2;
    while (taken.has(host)) host += 1;
    return host;
  }

  function add(
    { containerId, ifName, netnsPath = "", config, capabilityArgs }: CniAttachment,
    steps: number,
  ): JsonObject {
    if (steps < 1) return {};
    const host = leased.get(keyOf(containerId, ifName)) ?? lowestFreeHost();
    leased.set(keyOf(containerId, ifName), host);
    if (steps < 2) return {};
    const { type, subnet = "10.9.0" } = firstPlugin(config);
    if (type === "device") {
      const device = { name: ifName, sandbox: netnsPath, pciID: "0000:03:02.0" };
      return { cniVersion: "1.0.0", interfaces: [device] };
    }
    const address = `${subnet}.${host}/24`;
    const mac = typeof capabilityArgs["mac"] === "string" ? { mac: capabilityArgs["mac"] } : {};
    const link = interfaces.addLink(netnsPath, { name: ifName, ips: [address], ...mac });
    return {
      cniVersion: "1.0.0",
      interfaces: [{ name: ifName, mac: link.mac, sandbox: netnsPath }],
      ips: [{ interface: 0, address, gateway: `${subnet}.1` }],
    };
  }

  function del({ containerId, ifName, netnsPath }: CniAttachment, steps: number): void {
    if (steps >= 2) leased.delete(keyOf(containerId, ifName));
    if (steps < 1) return;
    if (netnsPath !== undefined && interfaces.links(netnsPath).some((link) => link.name === ifName)) {
      interfaces.removeLink(netnsPath, ifName);
    }
  }

  return {
    name: "fake",
    daemons: [],
    cniVersions: ["1.0.0"],
    leases: () => [...leased.keys()].toSorted(),
    lease: (containerId, ifName) => void leased.set(keyOf(containerId, ifName), lowestFreeHost()),
    runs,
    load,
    failOn(verb, error, afterSteps = allSteps) {
      if (error) failures.set(verb, { error, afterSteps });
      else failures.delete(verb);
    },
    holdOn(verb, until) {
      if (until) holds.set(verb, until);
      else holds.delete(verb);
    },

    async prepare(definition, selection, { attachment }) {
      const { name, plugins } = JSON.parse(definition.config) as { name: string; plugins: FakePlugin[] };
      const missing = plugins.find(({ type }) => type.startsWith("missing"));
      if (missing) throw new PodplugError("PLUGIN_NOT_FOUND", `plugin ${missing.type} isn't there`);
      const capabilityArgs: JsonObject = {
        ...(selection.mac !== undefined && { mac: selection.mac }),
        ...(selection.ips && { ips: selection.ips }),
      };
      for (const capability of Object.keys(capabilityArgs)) {
        if (plugins.some(({ capabilities }) => capabilities?.[capability])) continue;
        throw new PodplugError("CAPABILITY_NOT_DECLARED", `no plugin of ${name} declares ${capability}`);
      }
      return {
        networkName: name,
        config: definition.config,
        capabilityArgs,
        cniArgs: attachment?.cniArgs ?? [],
      };
    },
    add: (attachment) => run("add", attachment.ifName, (steps) => add(attachment, steps)),
    del: (attachment) => run("del", attachment.ifName, (steps) => del(attachment, steps)),
    check: ({ ifName, netnsPath = "", config }) =>
      run("check", ifName, () => {
        if (firstPlugin(config).type === "device") return;
        if (interfaces.links(netnsPath).some((link) => link.name === ifName)) return;
        throw new PodplugError("CHECK_FAILED", `${ifName} isn't there`, { plugin: "fake" });
      }),
    gc: (_config, valid: readonly ValidAttachment[]) =>
      run("gc", "", () => {
        const keep = new Set(valid.map(({ containerId, ifName }) => keyOf(containerId, ifName)));
        for (const lease of leased.keys()) if (!keep.has(lease)) leased.delete(lease);
      }),
  };
}

/** A configuration of one plugin is written without a list. */
function firstPlugin(config: string): FakePlugin {
  const network = JSON.parse(config) as FakePlugin & { readonly plugins?: readonly FakePlugin[] };
  return network.plugins?.[0] ?? network;
}

function keyOf(containerId: string, ifName: string): string {
  return `${containerId} ${ifName}`;
}
