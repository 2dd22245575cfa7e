import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createAuthority } from "../support/certificates.ts";

/*
 * deploy/systemd/renew-token, at API servers that answer otherwise than they
 * should. A real one's answers: test/cluster/node-kubeconfig.test.ts.
 */

const renewToken = join(import.meta.dirname, "../../deploy/systemd/renew-token");
const secret = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
const authority = createAuthority();
let folder: string;

/** Runs it at a server that answers so; what it said, with its exit code. */
async function renew(answer: (response: ServerResponse) => void): Promise<{ code: number; said: string }> {
  const server = createServer(authority.issue("api", ["127.0.0.1"]), (request, response) => {
    request.resume();
    answer(response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await writeFile(join(folder, "kubeconfig"), `      server: https://127.0.0.1:${port}\n`);
  try {
    const { stdout, stderr } = await promisify(execFile)(renewToken, [folder]);
    return { code: 0, said: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, said: stdout + stderr };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
const tokenKept = async (): Promise<boolean> => (await readFile(join(folder, "token"), "utf8")) === "first";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "renew-token-"));
  await writeFile(join(folder, "ca.crt"), authority.cert);
  await writeFile(join(folder, "token"), "first");
  await writeFile(join(folder, "token-request.json"), '{"kind":"TokenRequest"}');
});
afterEach(() => rm(folder, { recursive: true }));

test("the token that is answered takes the place of the present one, without a word", async () => {
  const done = await renew((response) => {
    response.writeHead(201).end(JSON.stringify({ status: { token: secret } }, null, 2));
  });
  expect(done).toEqual({ code: 0, said: "" });
  expect(await readFile(join(folder, "token"), "utf8")).toBe(secret);
  expect(await readdir(folder)).toEqual(["ca.crt", "kubeconfig", "token", "token-request.json"]);
});

test("of an answer that breaks off nothing is told or kept, as it may be a token", async () => {
  const { code, said } = await renew((response) => {
    response.writeHead(201, { "content-length": 4096 });
    response.write(`{"status":{"token":"${secret}","expiration`, () => response.destroy());
  });
  expect(code).toBe(1);
  expect(said).toMatch(
    /the token was not renewed: curl failed at https:\/\/127\.0\.0\.1:\d+ with exit code \d+/,
  );
  expect(said).not.toContain("eyJ");
  expect(await tokenKept()).toBe(true);
});

test("so with an answer that is a token, and says that it is a failure", async () => {
  const { code, said } = await renew((response) => {
    response.writeHead(500).end(`{"status":{"token":"${secret}"}}`);
  });
  expect([code, said]).toEqual([1, expect.stringContaining("the API server answered 500")]);
  expect(said).not.toContain("eyJ");
  expect(await tokenKept()).toBe(true);
});

test("a refusal is told with the server's reason", async () => {
  const message = 'serviceaccounts "podplug-agent" is forbidden: User "x" cannot create';
  const { code, said } = await renew((response) => {
    response.writeHead(403).end(JSON.stringify({ kind: "Status", message, code: 403 }, null, 2));
  });
  expect(code).toBe(1);
  expect(said).toContain('the API server answered 403 serviceaccounts \\"podplug-agent\\" is forbidden');
  expect(said).toContain("cannot create");
  expect(await tokenKept()).toBe(true);
});

test("a proxy's page is told by its status alone", async () => {
  const { code, said } = await renew((response) => {
    response.writeHead(502).end("<html>Bad Gateway 502</html>");
  });
  expect([code, said]).toEqual([1, expect.stringMatching(/the API server answered 502 *\n$/)]);
  expect(await tokenKept()).toBe(true);
});
