import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { createAuthority } from "../support/certificates.ts";
import { failure } from "../support/failure.ts";
import { type IpLink, makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";

test("an agent on a TLS port plugs for whom its rules name, and tells what it did and refused", async () => {
  await using netns = await makeNetns("tls");
  await using node = await makeNode({ listen: "127.0.0.1:0" });
  const authority = createAuthority();
  const keep = async (name: string, text: string): Promise<string> => {
    await writeFile(join(node.root, name), text);
    return join(node.root, name);
  };
  const keysOf = async (
    name: string,
    names: readonly string[] = [],
    organizations: readonly string[] = [],
  ) => {
    const { cert, key } = authority.issue(name, names, { organizations });
    return { certFile: await keep(`${name}.crt`, cert), keyFile: await keep(`${name}.key`, key) };
  };
  const caFile = await keep("ca.crt", authority.cert);
  const config = JSON.parse(await readFile(node.configFile, "utf8")) as { readonly api: object };
  const configured = {
    ...config,
    api: {
      ...config.api,
      insecure: false,
      tls: { ...(await keysOf("podplug", ["podplug.node"])), clientCAFile: caFile },
      auth: {
        authorization: "static",
        rules: [
          {
            groups: ["operators"],
            verbs: ["create", "get", "list"],
            resources: ["netns", "directorynetworks"],
          },
        ],
      },
    },
  };
  await writeFile(node.configFile, JSON.stringify(configured));
  await using here = await startAgentHere(node);
  const { port } = here.agent.addresses.tls ?? {};
  const clientOf = async (name: string, organizations: readonly string[]) => {
    const { certFile: clientCertFile, keyFile: clientKeyFile } = await keysOf(name, [], organizations);
    const server = `https://127.0.0.1:${port}`;
    return createNodeClient({ server, caFile, tlsServerName: "podplug.node", clientCertFile, clientKeyFile });
  };
  await using operator = await clientOf("operator", ["operators"]);
  await using other = await clientOf("other", ["people"]);
  const target = { kind: "netns", netns: netns.path } as const;
  const request = { target, network: { name: "blue", interface: "net1" } };

  await expect(other.attach(request, neverAborted)).rejects.toEqual(
    failure("DENIED", "other may not create netns"),
  );
  expect((await operator.attach(request, neverAborted)).created).toBe(true);
  const detached = operator.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
  await expect(detached).rejects.toEqual(failure("DENIED", "operator may not delete netns"));
  const links = (await netns.ipJson<IpLink[]>("link")).map(({ ifname }) => ifname);
  expect(links).toContain("net1");
  // Other tests have namespaces beside this one.
  const seen = (await operator.list({}, neverAborted)).filter((each) => each.netns === netns.path);
  expect(seen).toMatchObject([{ name: "net1", owner: "operator" }]);
  expect(await other.list({}, neverAborted)).toEqual([]);
  const audit = here.log.filter(({ message }) => message === "audit").map(({ facts }) => facts);
  expect(audit.map(({ caller, method, outcome }) => [caller, method, outcome])).toEqual([
    ["other", "AttachNetwork", "DENIED"],
    ["operator", "AttachNetwork", "ATTACHED"],
    ["operator", "DetachNetwork", "DENIED"],
  ]);
});
