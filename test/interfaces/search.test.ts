import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { createNetlinkInterfaceReader } from "../../src/interfaces/netlink.ts";
import { holdUnnamedNetns } from "../support/netns.ts";

test("a namespace whose first process has ended is found by another one that is in it, and by none when all have", async () => {
  using reader = await createNetlinkInterfaceReader();
  const first = await holdUnnamedNetns();
  const path = `/proc/${first.pid}/ns/net`;
  const netns = await reader.identify(path, neverAborted);
  const second = spawn("nsenter", [`--net=${path}`, "sh", "-c", "echo inside; exec sleep infinity"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(second, "exit");
  await once(second.stdout, "data");

  await first[Symbol.asyncDispose]();
  expect(await reader.search(netns, neverAborted)).toBe(`/proc/${second.pid}/ns/net`);
  second.kill("SIGKILL");
  await ended;
  expect(await reader.search(netns, neverAborted)).toBeUndefined();
});
