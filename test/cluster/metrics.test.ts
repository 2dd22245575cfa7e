import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { startAgentProgram } from "../agent/agent-program.ts";
import { createAuthority } from "../support/certificates.ts";
import { startClusterAgent } from "./support/agent.ts";
import { eventually, useCluster } from "./support/cluster.ts";

const cluster = useCluster();
const role = join(import.meta.dirname, "../../examples/rbac/scraper.yaml");
const server = createAuthority("podplug's authority");

test("metrics are told on the API port to the scraper of the example role, and to no other account", async () => {
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => void (await cluster.kubectl("delete", "--ignore-not-found", "-f", role)));
  await cluster.kubectl("apply", "-f", role);
  const folder = await cluster.makeFolder();
  const { cert, key } = server.issue("lab", ["127.0.0.1"]);
  await writeFile(join(folder, "tls.crt"), cert);
  await writeFile(join(folder, "tls.key"), key);
  const agent = cleanup.use(
    await startClusterAgent(cluster, {
      api: {
        listen: "127.0.0.1:0",
        tls: { certFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key") },
        auth: { tokenReview: true },
      },
    }),
  );

  async function scrape(...account: readonly string[]): Promise<{ status: unknown; body: string }> {
    const token = (await cluster.kubectl("create", "token", ...account, "--audience=podplug")).trim();
    const { promise, resolve, reject } = Promise.withResolvers<{ status: unknown; body: string }>();
    const sent = request(
      {
        host: "127.0.0.1",
        port: agent.program.addresses.tls?.port,
        path: "/metrics",
        ca: server.cert,
        headers: { authorization: `Bearer ${token}` },
      },
      (response) => {
        text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
      },
    );
    sent.once("error", reject).end();
    return await promise;
  }

  const { status, body } = await eventually("the role is known", async () => {
    const answer = await scrape("prometheus", "-n", "monitoring");
    return answer.status === 403 ? undefined : answer;
  });
  expect(status).toBe(200);
  expect(body).toContain('podplug_workqueue_depth{name="reconcile"} ');
  expect(body).toContain("podplug_watch_restarts_total");
  const denied = await scrape("default", "-n", "default");
  expect(denied.status).toBe(403);
  expect(denied.body).toContain("system:serviceaccount:default:default may not get /metrics");
});

test("a controller of its own has ops endpoints of its own, and isn't ready while its server is away", async () => {
  await using agent = await startClusterAgent(cluster, { command: "server" });
  const command = ["controller", "--server", agent.server];
  await using controller = await startAgentProgram(agent.configFile, [], command);
  const ask = async (path: string): Promise<{ status: number; body: string }> => {
    const answer = await fetch(`http://127.0.0.1:${controller.addresses.ops?.port}${path}`);
    return { status: answer.status, body: await answer.text() };
  };
  await eventually("it is ready", async () => ((await ask("/readyz")).status === 200 ? true : undefined));
  expect((await ask("/metrics")).body).toContain('podplug_workqueue_depth{name="publish"} ');
  agent.program.kill("SIGKILL");
  await agent.program.ended;
  const { status, body } = await ask("/readyz");
  expect(status).toBe(503);
  expect(body).toContain("[-] server: ");
  expect(await ask("/livez")).toEqual({ status: 200, body: "ok\n" });
});
