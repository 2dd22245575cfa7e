import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { run } from "./cluster.ts";
import { typedCommands } from "./typed.ts";

const root = join(import.meta.dirname, "../../..");

/**
 * Types every command of docs/tutorial.md as it stands and sees that it plugs
 * and unplugs as it says. `withAgent: false` leaves out what starts and ends an
 * agent, for a node that has one.
 */
export async function followTutorial({ withAgent }: { readonly withAgent: boolean }): Promise<void> {
  const page = await readFile(join(root, "docs/tutorial.md"), "utf8");
  const sections = page.split(/^## /m).filter((section) => withAgent || !section.startsWith("The agent\n"));
  const typed = typedCommands(sections.join(""));
  const commands = withAgent ? typed : typed.filter((command) => command !== "kill %1");
  expect(commands.length).toBeGreaterThan(withAgent ? 20 : 12);
  // Whatever fails, the agent doesn't stay.
  const script = [
    "set -e",
    "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT",
    `cd '${root}'`,
    withAgent ? "" : "PATH=$PWD/bin:$PATH",
    ...commands,
    "wait",
  ];
  const output = await run("bash", ["-c", script.join("\n")]);
  expect(output).toMatch(/inet 10\.42\.0\.\d+\/24 /);
  expect(output).toContain("1 packets received");
  expect(output).toMatch(/net1 +default\/data +10\.42\.0\.\d+\/24 +\S+ +attached/);
  expect(output).toMatch(/AddedInterface +added interface net1 to network default\/data/);
  const links = output.slice(output.indexOf("1: lo: "));
  expect(links.slice(0, links.indexOf("NAME "))).not.toContain("net1");
  expect(output).toMatch(/detached data0 \(default\/data\)/);
  const pods = output.match(/^web-\S+ +1\/1 +Running +0 /gm) ?? [];
  expect(pods).toHaveLength(4);
  expect(new Set(pods).size).toBe(2);
}
