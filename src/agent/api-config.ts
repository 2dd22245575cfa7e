import { z } from "zod";

/* The section `api` of the configuration: where the API is served, and to whom. */

export const path = z.string().regex(/^(\/.*)?$/, "must be an absolute path");
export const hostPort = z
  .string()
  .regex(/^((\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):\d{1,5})?$/, "must be HOST:PORT")
  .refine((address) => Number(address.split(":").at(-1)) <= 65_535, "the port must be at most 65535");

const tls = z
  .strictObject({
    certFile: path.default("").describe("the server's certificate chain, PEM"),
    keyFile: path.default("").describe("its key, PEM"),
    clientCAFile: path
      .default("")
      .describe("the CAs that client certificates are verified with, PEM; empty: none are asked for"),
  })
  .prefault({})
  .describe("for the TCP port; files are reread when they change");

const words = z.array(z.string().min(1)).min(1);
const rule = z.strictObject({
  users: words.optional(),
  groups: words.optional(),
  verbs: z.array(z.enum(["create", "delete", "get", "list", "watch", "*"])).min(1),
  resources: z
    .array(
      z.enum([
        "podnetworks",
        "podnetworks/config",
        "podnetworks/force",
        "podnetworks/hostports",
        "network-attachment-definitions",
        "directorynetworks",
        "kaloomnetworks",
        "contivnetworks",
        "netns",
        "containers",
        "metrics",
        "*",
      ]),
    )
    .min(1),
  namespaces: words.optional(),
  names: words.optional(),
});

const auth = z
  .strictObject({
    tokenReview: z.boolean().default(false).describe("ask the API server who a bearer token is"),
    audiences: z
      .array(z.string().min(1))
      .min(1)
      .default(["podplug"])
      .describe("what a token must be made for"),
    authorization: z
      .enum(["subjectAccessReview", "static"])
      .default("subjectAccessReview")
      .describe("who decides what a caller of the TLS port may do: the API server, or the rules"),
    rules: z
      .array(rule)
      .default([])
      .describe(
        "the rules when authorization is static: users, groups, verbs, resources, namespaces, names (security.md)",
      ),
  })
  .prefault({});

export const apiSchema = z
  .strictObject({
    socket: path.default("/run/podplug/podplug.sock").describe("the Unix socket; empty for none"),
    socketMode: z
      .string('must be an octal mode in quotes, such as "0600"')
      .regex(/^0?[0-7]{3}$/, "must be an octal mode such as 0600")
      .default("0600")
      .describe("the socket's mode, octal"),
    socketGroup: z.string().default("").describe("the group that owns the socket; empty for the agent's own"),
    listen: hostPort.default("").describe("HOST:PORT of the TCP port; empty for none"),
    tls,
    auth,
    insecure: z
      .boolean()
      .default(false)
      .describe("open the TCP port without TLS and authentication; on a loopback address only"),
  })
  .prefault({});

type ApiConfig = z.output<typeof apiSchema>;

/** Whether the TCP port has TLS. */
export function usesTls({ tls: { certFile, keyFile, clientCAFile } }: ApiConfig): boolean {
  return [certFile, keyFile, clientCAFile].some((file) => file !== "");
}

/** What contradicts itself, by the path of its key: a door that is half made stays shut. */
export function apiFaults(config: ApiConfig): readonly string[] {
  const { socket, listen, insecure, auth: asked, tls: files } = config;
  const faults: string[] = [];
  const expect = (holds: boolean, fault: string): void => {
    if (!holds) faults.push(fault);
  };
  expect(socket !== "" || listen !== "", "api: neither socket nor listen is given");
  const isStatic = asked.authorization === "static";
  expect(
    isStatic || asked.rules.length === 0,
    "api.auth.rules: they count only when authorization is static",
  );
  for (const [index, { users, groups }] of asked.rules.entries()) {
    expect(Boolean(users ?? groups), `api.auth.rules.${index}: it names neither users nor groups`);
  }
  if (!usesTls(config)) {
    expect(!asked.tokenReview, "api.auth.tokenReview: tokens are taken on a port with TLS only; set api.tls");
    expect(!isStatic, "api.auth.authorization static: it is for a port with TLS; set api.listen and api.tls");
    return faults;
  }
  expect(listen !== "", "api.tls: api.listen names no port to use it on");
  expect(files.certFile !== "" && files.keyFile !== "", "api.tls: certFile and keyFile are needed together");
  expect(!insecure, "api.insecure: it contradicts api.tls; leave one of them out");
  expect(
    files.clientCAFile !== "" || asked.tokenReview,
    "api.tls: nobody could prove who they are; set clientCAFile, or api.auth.tokenReview",
  );
  expect(!isStatic || asked.rules.length > 0, "api.auth.rules: without one nobody may do anything");
  return faults;
}
