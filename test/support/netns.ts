import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** A network namespace of a test's own; only inside test/sandbox.sh. */
export interface TestNetns extends AsyncDisposable {
  readonly name: string;
  /** `/run/netns/NAME` */
  readonly path: string;
  /** Runs a command in it and answers its standard output. */
  run(command: string, ...args: readonly string[]): Promise<string>;
  /** `ip -n NAME …` */
  ip(...args: readonly string[]): Promise<void>;
  /** `ip -j -d -n NAME …`, parsed. */
  ipJson<T>(...args: readonly string[]): Promise<T>;
  /** A process that stays in it until disposed of. */
  hold(): Promise<HeldProcess>;
}

export interface HeldProcess extends AsyncDisposable {
  readonly pid: number;
}

/** What `ip -j addr` says of a link, as far as tests look at it. */
export interface IpLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly operstate: string;
  readonly link_type: string;
  readonly address?: string;
  readonly addr_info: readonly {
    readonly family: string;
    readonly local: string;
    readonly prefixlen: number;
  }[];
}

/**
 * Named uniquely, as test files run side by side. New links in it get no
 * link-local addresses: the kernel makes those some time after a link is up,
 * and two looks at it would differ.
 */
export async function makeNetns(prefix = "t"): Promise<TestNetns> {
  const name = `${prefix}-${randomBytes(4).toString("hex")}`;
  await command("ip", ["netns", "add", name]);
  const setting = "/proc/sys/net/ipv6/conf/default/addr_gen_mode";
  await command("ip", ["netns", "exec", name, "sh", "-c", `[ ! -e ${setting} ] || echo 1 >${setting}`]);
  return {
    name,
    path: `/run/netns/${name}`,
    run: (program, ...args) => command("ip", ["netns", "exec", name, program, ...args]),
    ip: async (...args) => void (await command("ip", ["-n", name, ...args])),
    ipJson: async <T>(...args: readonly string[]) =>
      JSON.parse(await command("ip", ["-j", "-d", "-n", name, ...args])) as T,
    hold: () => hold("ip", ["netns", "exec", name]),
    [Symbol.asyncDispose]: () => removeNetns(name),
  };
}

/** Succeeds when it is gone already, as some tests remove theirs themselves. */
async function removeNetns(name: string): Promise<void> {
  try {
    await command("ip", ["netns", "delete", name]);
  } catch (error) {
    if ((await command("ip", ["netns", "list"])).split(/\s/).includes(name)) throw error;
  }
}

/** A veth pair with its ends up, one in each namespace. */
export async function addVethPair(
  a: { readonly netns: TestNetns; readonly name: string },
  b: { readonly netns: TestNetns; readonly name: string },
): Promise<void> {
  await a.netns.ip("link", "add", a.name, "type", "veth", "peer", "name", b.name, "netns", b.netns.name);
  await a.netns.ip("link", "set", a.name, "up");
  await b.netns.ip("link", "set", b.name, "up");
}

/** A process in a network namespace that has no name. */
export function holdUnnamedNetns(): Promise<HeldProcess> {
  return hold("unshare", ["--net"]);
}

/** `program args… COMMAND` must become COMMAND without a fork, so that the child's PID is its. */
async function hold(program: string, args: readonly string[]): Promise<HeldProcess> {
  const child = spawn(program, [...args, "sh", "-c", "echo inside; exec sleep infinity"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await Promise.race([once(child.stdout, "data"), exited]);
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null) throw new Error(`can't run ${program} ${args.join(" ")}`);
  return {
    pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function command(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execute(program, args, { maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}
