import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { CertificateRequest } from "../../src/client/cli/options/certificate.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { cli, startCli } from "./cli-in-memory.ts";

const provided = { authority: "authority\n", certificate: "certificate\n", key: "key\n", told: ["made it"] };

/** A run of `podplug certificates`, and what it asked for. */
async function certificates(args: readonly string[]) {
  const requests: CertificateRequest[] = [];
  const ended = await cli(["certificates", ...args], {
    certificates: (request) => {
      requests.push(request);
      return Promise.resolve(provided);
    },
  });
  return { ...ended, requests };
}

test("what isn't said has its default", async () => {
  const { requests, stdout } = await certificates(["server", "--dir", "pki"]);
  expect(requests).toEqual([
    {
      usage: "server",
      commonName: "podplug.node",
      organizations: [],
      names: ["podplug.node"],
      days: 90,
      renewBeforeDays: 30,
      keptAs: "tls",
      place: { kind: "directory", path: "pki" },
    },
  ]);
  expect(stdout).toBe("made it\n");
});

test("every option arrives", async () => {
  const client =
    "client vnf-1 --group vnf --group readers --as caller --cluster -n net --kubeconfig k --days 9 --renew-before 3";
  expect((await certificates(client.split(" "))).requests).toEqual([
    {
      usage: "client",
      commonName: "vnf-1",
      organizations: ["vnf", "readers"],
      names: [],
      days: 9,
      renewBeforeDays: 3,
      keptAs: "caller",
      place: { kind: "cluster", namespace: "net", kubeconfig: "k" },
    },
  ]);
  const server = "server --name node-1.example --name 10.0.0.7 --cluster";
  expect((await certificates(server.split(" "))).requests).toMatchObject([
    { commonName: "node-1.example", names: ["node-1.example", "10.0.0.7"], keptAs: "podplug-tls" },
  ]);
});

test("a server's first name may be longer than a common name, which nobody looks at", async () => {
  const long = `${"a".repeat(60)}.${"b".repeat(60)}`;
  expect((await certificates(["server", "--dir", "pki", "--name", long])).requests).toMatchObject([
    { commonName: "podplug.node", names: [long] },
  ]);
});

test("-o secret prints the Secret that the agents mount, the ConfigMap that callers read, and remarks elsewhere", async () => {
  const { stdout, stderr } = await certificates("server --dir pki -o secret -n net".split(" "));
  expect(parseAllDocuments(stdout).map((document) => document.toJS() as object)).toEqual([
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "podplug-tls", namespace: "net" },
      type: "Opaque",
      data: { "ca.crt": btoa("authority\n"), "tls.crt": btoa("certificate\n"), "tls.key": btoa("key\n") },
    },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "podplug-ca", namespace: "net" },
      data: { "ca.crt": "authority\n" },
    },
  ]);
  expect(stderr).toBe("made it\n");
});

test.each([
  ["server", "either --dir or --cluster"],
  ["server --dir pki --cluster", "either --dir or --cluster"],
  ["server vnf --dir pki", "A server has --name."],
  ["client --dir pki", "Name the client."],
  ["client vnf --dir pki --name podplug.node", "--name is for servers"],
  ["server --dir pki --group vnf", "--group is for clients"],
  ["server --dir pki --kubeconfig k", "--kubeconfig is for --cluster"],
  ["server --cluster -o secret", "-o secret is for --dir"],
  ["server --dir pki --days 30", "--renew-before must be less than --days"],
  ["server --dir pki --days 0", "1 to 1825"],
  ["server --dir pki --name under_score", "under_score is neither a DNS name nor an address"],
  ["server --dir pki --as ca", "ca is the authority's"],
  ["server --cluster --as podplug-ca", "podplug-ca is the authority's"],
  ["client podplug:prometheus --dir pki", "give another with --as"],
  [`client ${"x".repeat(65)} --as x --dir pki`, "1 to 64 characters"],
  ["peer --dir pki", "Allowed choices are server, client"],
])("%s is wrong usage: %s", async (line, why) => {
  const { code, stderr, requests } = await certificates(line.split(" "));
  expect({ code, requests }).toEqual({ code: 2, requests: [] });
  expect(stderr).toContain(why);
});

test("Ctrl-C ends the waiting for a cluster, with exit code 130", async () => {
  const run = startCli(["certificates", "server", "--cluster"], {
    certificates: (_request, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new PodplugError("CANCELED", "no longer wanted")));
      }),
  });
  run.interrupt();
  expect(await run.exitCode).toBe(130);
  expect(run.stderr.text).toBe("");
});

test("a failure is told with its reason and exit code", async () => {
  const fails = () => Promise.reject(new PodplugError("PRIVILEGE_MISSING", "can't write pki/ca.key: EACCES"));
  const { code, stderr } = await cli(["certificates", "server", "--dir", "pki"], { certificates: fails });
  expect(code).toBe(1);
  expect(stderr).toContain(
    "podplug certificates: can't write pki/ca.key: EACCES\n  reason     PRIVILEGE_MISSING",
  );
});
