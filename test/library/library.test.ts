import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTwoAgents } from "../client/two-agents.ts";
import { podPath } from "../kube/cluster-world.ts";
import { startTestServer } from "../server/started-server.ts";
import { authority } from "../server/tls-server.ts";
import { type Installed, installLibrary } from "./installed.ts";

const root = join(import.meta.dirname, "../..");
let folder: string;
let installed: Installed;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "podplug-library-"));
  installed = await installLibrary(folder, join(root, "examples/vnf-orchestrator"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const tsc = join(root, "node_modules/.bin/tsc");

test("packed without its dependencies it is small", () => {
  expect(statSync(installed.tarball).size).toBeLessThan(200_000);
});

test("the example of an orchestrator type-checks against it, declarations of all packages included", async () => {
  await installed.run(tsc, ["-p", "."]);
});

test("without the Kubernetes client, its types are whole too, and a cluster's client says what is missing", async () => {
  const bare = join(folder, "bare");
  mkdirSync(bare);
  writeFileSync(
    join(bare, "package.json"),
    JSON.stringify({ private: true, type: "module", devDependencies: { "@types/node": "*" } }),
  );
  writeFileSync(
    join(bare, "index.ts"),
    `import { createClusterClient, createNodeClient, isReason, type NodeClientOptions, PodplugError } from "podplug";
const options: NodeClientOptions = { server: "unix:///nonexistent" };
await using node = createNodeClient(options);
const asked: unknown = await node.info(AbortSignal.timeout(60_000)).catch((error: unknown) => error);
if (!(asked instanceof PodplugError) || asked.reason !== "UNREACHABLE") throw asked;
const made: unknown = await createClusterClient({ kube: { kubeconfig: "none" } }).catch((error: unknown) => error);
if (!(made instanceof PodplugError) || !isReason(made.reason)) throw made;
console.log(made.reason, made.message);
`,
  );
  writeFileSync(
    join(bare, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        target: "es2024",
        lib: ["es2024", "esnext.disposable"],
        module: "nodenext",
        types: ["node"],
        strict: true,
        noEmit: true,
      },
      include: ["index.ts"],
    }),
  );
  const without = await installLibrary(join(folder, "again"), bare);
  await without.run(tsc, ["-p", "."]);
  const output = await without.run(process.execPath, ["index.ts"]);
  expect(output).toBe("INVALID_CONFIGURATION the package @kubernetes/client-node isn't installed\n");
});

test("it speaks to an agent by its socket", async () => {
  const { socketPath } = await startTestServer();
  const script = `import { createNodeClient } from "podplug";
await using node = createNodeClient({ server: process.env.SERVER });
const target = { kind: "pod", pod: { namespace: "demo", name: "web" } };
const signal = AbortSignal.timeout(60_000);
const { created, interface: one } = await node.attach({ target, network: { name: "net-a" } }, signal);
console.log(created, one.name, (await node.list({ target }, signal)).length);
`;
  writeFileSync(join(installed.folder, "by-socket.mjs"), script);
  const output = await installed.run(process.execPath, ["by-socket.mjs"], { SERVER: `unix://${socketPath}` });
  expect(output).toBe("true net1 1\n");
});

test("the example plugs, verifies, watches and unplugs, and ends by itself", async () => {
  const { server, first, writeKubeconfig } = await createTwoAgents();
  const pod = podPath("podplug/agent-1");
  server.put(pod, { ...server.get(pod), status: { phase: "Running", hostIP: "127.0.0.1" } });
  server.put("/api/v1/namespaces/vnf/serviceaccounts/orchestrator", {
    metadata: { namespace: "vnf", name: "orchestrator", uid: "account", resourceVersion: "1" },
  });
  const authorityFile = join(folder, "ca.crt");
  writeFileSync(authorityFile, authority.cert);
  const output = await installed.run(process.execPath, ["orchestrator.ts", "demo/web", "net-a", "net-b"], {
    KUBECONFIG: await writeKubeconfig(),
    PODPLUG_CA: authorityFile,
    PODPLUG_PORT: String(first.port),
    PODPLUG_SERVER_NAME: "127.0.0.1",
  });
  expect(output).toContain("verified left and right");
  expect(first.node.attachments).toEqual([]);
});
