import { expect, test } from "vitest";
import { tellServiceManager } from "../../src/agent/service-manager.ts";
import { makeNode } from "../support/node.ts";
import { launchAgentProgram, readableLog } from "./agent-program.ts";

/* That systemd hears it, test/packages shows. */

test("without a service manager that wants to know there is nothing to tell", async () => {
  await tellServiceManager("READY", {});
  await tellServiceManager("READY", { NOTIFY_SOCKET: "" });
});

test.each(["/nonexistent/notify", "@podplug-nobody-listens"])(
  "a socket where nobody listens is told by its name: %s",
  async (path) => {
    await expect(tellServiceManager("READY", { NOTIFY_SOCKET: path })).rejects.toThrow(
      `NOTIFY_SOCKET ${path} can't be told READY: `,
    );
  },
);

test("an agent that can't tell its service manager says so, and serves", async () => {
  await using node = await makeNode({ config: readableLog });
  await using agent = launchAgentProgram(node.configFile, ["env", "NOTIFY_SOCKET=/nonexistent/notify"]);
  await agent.logs("the service manager can't be told");
  agent.kill("SIGTERM");
  expect(await agent.ended).toMatchObject({ code: 0 });
});
