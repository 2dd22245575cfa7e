import { parseDocument } from "yaml";
import { z } from "zod";
import { apiFaults, apiSchema, hostPort, path } from "./agent/api-config.ts";
import { messageOf, PodplugError } from "./domain/errors.ts";

/*
 * One schema is the type, the defaults and the documentation of the agent's
 * configuration (docs/configuration.md is made from it).
 */

const absolutePath = z.string().regex(/^\/./, "must be an absolute path");

const networkSource = z.union(
  [z.enum(["netAttachDef", "kaloom"]), z.strictObject({ directory: absolutePath })],
  'must be netAttachDef, kaloom or { directory: "/…" }',
);

const cni = z
  .strictObject({
    binDirs: z
      .array(absolutePath)
      .min(1)
      .default(["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"])
      .describe("where plugins are looked for, in this order"),
    confDir: absolutePath.default("/etc/cni/net.d").describe("the node's own CNI configurations"),
    timeoutSeconds: z
      .number()
      .positive()
      .max(3600)
      .default(60)
      .describe("how long one network's plugins may take for one verb"),
    maxConcurrent: z
      .int()
      .min(0)
      .max(1024)
      .default(0)
      .describe(
        "how many networks are worked on at once, less those whose plugins take longer than a second; 0: twice the processors, 4 to 16",
      ),
    cacheDirs: z
      .array(absolutePath)
      .default(["/var/lib/cni/multus", "/var/lib/cni"])
      .describe(
        "the caches of the cluster's meta plugin (libcni's, or kactus's), which tell how what it plugged at a pod's creation is unplugged",
      ),
    gc: z.array(z.string().min(1)).default([]).describe("networks whose plugins are asked for CNI GC"),
  })
  .prefault({});

const schema = z.strictObject({
  nodeName: z
    .string()
    .max(253)
    .default("")
    .describe("this node's name; empty: NODE_NAME, then the host's name"),
  api: apiSchema,
  ops: z
    .strictObject({
      listen: hostPort.default("127.0.0.1:7655").describe("HOST:PORT of the ops endpoints; empty for none"),
      controllerListen: hostPort
        .default("127.0.0.1:7656")
        .describe("the same for a controller in a process of its own"),
    })
    .prefault({}),
  runtime: z
    .enum(["auto", "cri", "docker", "netns"])
    .default("auto")
    .describe("what runs the pods; netns: bare network namespaces"),
  criSocketPath: z
    .string()
    .default("")
    .describe("empty: the usual places of containerd, CRI-O and cri-dockerd in turn"),
  dockerSocketPath: absolutePath.default("/var/run/docker.sock").describe("Docker's socket"),
  pluggableHandlers: z
    .array(z.string().min(1))
    .default([])
    .describe(
      "runtime handlers, such as kata-qemu, whose pods are plugged into although they hide the namespace from the pod; what is plugged there, the pod may not see",
    ),
  podResourcesSocketPath: absolutePath
    .default("/var/lib/kubelet/pod-resources/kubelet.sock")
    .describe("the kubelet's socket that tells which devices it gave to which pod"),
  networks: z
    .array(networkSource)
    .min(1)
    .default(["netAttachDef"])
    .describe("where networks are looked up, in this order"),
  executor: z.enum(["direct", "multus", "kactus"]).default("direct").describe("who runs the plugins"),
  multusSocketPath: z
    .string()
    .default("")
    .describe("empty: the usual places; naming it does not select multus"),
  cni,
  hostRoot: path
    .default("")
    .describe(
      "where an agent in a container finds the host's root: /proc/1/root, or where it is mounted; empty on the host",
    ),
  stateDir: absolutePath.default("/var/lib/podplug").describe("where the agent keeps its records"),
  ifNaming: z.enum(["npwg", "hash"]).default("npwg").describe("generated interface names: netN, or a hash"),
  namespaceIsolation: z.boolean().default(false).describe("refuse network definitions of other namespaces"),
  globalNamespaces: z
    .array(z.string().min(1))
    .default(["default"])
    .describe("whose definitions every namespace may use all the same"),
  controller: z
    .strictObject({
      enabled: z.boolean().default(true).describe("watch this node's pods and their annotations"),
      kubeconfig: path.default("").describe("empty: the pod's own service account"),
      annotations: z
        .array(z.enum(["npwg", "kaloom"]))
        .default(["npwg", "kaloom"])
        .describe("which annotations are honoured"),
    })
    .prefault({}),
  healing: z
    .strictObject({
      enabled: z.boolean().default(true).describe("make a vanished link again"),
      intervalSeconds: z
        .number()
        .min(1)
        .max(86_400)
        .default(300)
        .describe("how often everything is looked at"),
    })
    .prefault({}),
  limits: z
    .strictObject({
      requestBytes: z.int().min(1024).default(1_048_576).describe("the largest request"),
      inFlightPerCaller: z.int().min(1).default(64).describe("calls of one caller at once"),
      inFlight: z.int().min(1).default(512).describe("calls at once"),
      maxDeadlineSeconds: z
        .number()
        .positive()
        .max(86_400)
        .default(300)
        .describe("the longest deadline a caller may ask for"),
    })
    .prefault({}),
  otlp: z
    .strictObject({
      endpoint: z
        .string()
        .refine(
          isCollector,
          "must be an http or https URL without credentials, such as http://localhost:4318",
        )
        .default("")
        .describe("where traces are sent by OTLP/HTTP, without /v1/traces; empty for nowhere"),
    })
    .prefault({}),
  contiv: z
    .strictObject({
      intentFile: path.default("").describe("contiv's intent; empty for none"),
      hostLabel: z
        .string()
        .max(253)
        .default("")
        .describe("this node's name among the intent's Hosts; empty: nodeName"),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(["debug", "info", "warn", "error"]).default("info").describe("the least severe level"),
      format: z
        .enum(["json", "pretty"])
        .default("json")
        .describe("one JSON object a line, or lines for people"),
    })
    .prefault({}),
});

export const configSchema = schema;
export type Config = z.output<typeof schema>;

/**
 * The whole of a multus-dynamic-networks-controller file (its pkg/config): a
 * file with other keys beside is podplug's own, which knows no criType.
 */
const peerKeys = new Set(["criSocketPath", "multusSocketPath", "criType"]);
const peerSchema = z
  .object({
    criSocketPath: z.string().default(""),
    multusSocketPath: z.string().default(""),
    // Older versions ask for it. The socket answers what runs behind it.
    criType: z.enum(["", "crio", "containerd"], "must be crio or containerd").default(""),
  })
  // It finds pods by the CRI alone.
  .transform(({ criSocketPath, multusSocketPath }) =>
    schema.parse({ runtime: "cri", criSocketPath, multusSocketPath }),
  );

function isPeerConfig(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const keys = Object.keys(value);
  // criSocketPath alone may as well be podplug's own.
  return keys.every((key) => peerKeys.has(key)) && keys.some((key) => key !== "criSocketPath");
}

/**
 * The agent's configuration from YAML or JSON text, with every default filled
 * in; a multus-dynamic-networks-controller file is taken as it is.
 * INVALID_CONFIGURATION tells every fault, with the path of its key.
 */
export function parseConfig(text: string, file: string): Config {
  return checkConfig(readYaml(text, file) ?? {}, file);
}

/** The same, of what was read already. */
export function checkConfig(value: unknown, file: string): Config {
  const parsed = (isPeerConfig(value) ? peerSchema : schema).safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(
    (issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`,
  );
  throw new PodplugError("INVALID_CONFIGURATION", `${file} has ${countOf(faults)}: ${faults.join("; ")}`, {
    details: faults.join("\n"),
  });
}

function isCollector(endpoint: string): boolean {
  if (endpoint === "") return true;
  if (!URL.canParse(endpoint)) return false;
  const { protocol, username, password } = new URL(endpoint);
  return ["http:", "https:"].includes(protocol) && username === "" && password === "";
}

/** INVALID_CONFIGURATION when it can't be read. */
export function readYaml(text: string, file: string): unknown {
  try {
    const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true, stringKeys: true });
    const [syntaxError] = document.errors;
    if (syntaxError) throw syntaxError;
    // Throws too: for an alias of nothing, and for aliases that multiply.
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    const fault = messageOf(cause).trim();
    throw new PodplugError("INVALID_CONFIGURATION", `${file} isn't YAML or JSON: ${fault}`, { cause });
  }
}

function countOf(faults: readonly string[]): string {
  return faults.length === 1 ? "a fault" : `${faults.length} faults`;
}

/** INVALID_CONFIGURATION for what contradicts itself, every such key together. */
export function refuseContradictions(config: Config): void {
  const faults: string[] = [];
  if (config.executor === "kactus" && !config.networks.includes("kaloom")) {
    faults.push("executor kactus: it plugs Kaloom's Networks alone; add kaloom to networks");
  }
  if (config.contiv.intentFile && config.executor === "kactus") {
    faults.push("contiv.intentFile: executor kactus plugs Kaloom's Networks alone; set it to direct");
  }
  faults.push(...apiFaults(config.api));
  if (faults.length > 0) {
    throw new PodplugError("INVALID_CONFIGURATION", `configuration can't be used: ${faults.join("; ")}`, {
      details: faults.join("\n"),
    });
  }
}
