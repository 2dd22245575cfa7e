/** One room of src/: what it is, and what that means for who imports what. */
export interface Room {
  readonly name: string;
  /** Files that other rooms may import, by name; all of them when absent. */
  readonly open?: readonly string[];
  readonly why: string;
}

const contractOnly = { open: ["contract.ts"] };

/** Imports go downwards in this list. */
export const rooms: readonly Room[] = [
  {
    name: "root",
    open: [],
    why: "src/main.ts, agent.ts with agent/, config.ts, log.ts and metrics.ts put the rooms together: a room that imported them could not be used or tested without all others",
  },
  {
    name: "controller",
    ...contractOnly,
    why: "the watcher is an ordinary client of the API: nothing below may need Kubernetes",
  },
  {
    name: "client",
    ...contractOnly,
    why: "the library and the CLI are for outsiders: the node's own code never calls itself over the wire",
  },
  {
    name: "server",
    ...contractOnly,
    why: "the server shows the engine to callers: the engine must work, and be tested, without it",
  },
  {
    name: "certificates",
    ...contractOnly,
    why: "certificates are made and renewed for whoever serves and calls: it knows neither",
  },
  {
    name: "wire",
    why: "pure translations between the domain and the messages, shared by server and client: below it nobody knows of messages",
  },
  {
    name: "attachments",
    ...contractOnly,
    why: "the engine uses executor, networks, sandbox and interfaces by their contracts: they know nothing of attachments",
  },
  {
    name: "executor",
    ...contractOnly,
    why: "an executor runs one network's plugins and is chosen by the configuration: only the composition root knows which",
  },
  {
    name: "networks",
    ...contractOnly,
    why: "a catalog finds a network's configuration, wherever it is kept: it doesn't run it",
  },
  {
    name: "sandbox",
    ...contractOnly,
    why: "a locator finds a target's namespace in one runtime: it doesn't know what is plugged there",
  },
  {
    name: "devices",
    ...contractOnly,
    why: "which devices the kubelet gave to a pod: it knows nothing of what is plugged where",
  },
  {
    name: "interfaces",
    ...contractOnly,
    why: "what the kernel has, by namespace path: it knows neither pods nor networks",
  },
  {
    name: "kube",
    open: ["contract.ts", "cluster-contract.ts", "networks-annotation.ts"],
    why: "what comes from the API server and goes there, as our own types: it decides nothing",
  },
  {
    name: "contiv",
    why: "contiv's intent, from its text to what follows from it, and the uplinks of its networks: what its pods get is asked for elsewhere",
  },
  {
    name: "grpc",
    why: "calls to programs of the node on their Unix sockets, whatever they serve",
  },
  {
    name: "cni",
    why: "the CNI runtime is a library of its own: it stands on the domain's words alone",
  },
  {
    name: "domain",
    why: "pure types and rules that everything else shares: it does nothing and imports nothing",
  },
];

/** Files or folders that may import gen/: everything else speaks the domain's types. */
export const speakMessages: readonly string[] = [
  "src/wire/",
  "src/server/",
  "src/client/",
  // The container runtime's own interface.
  "src/sandbox/cri",
  // The kubelet's.
  "src/devices/",
];

/** Packages that only these files or folders may import, and why. */
export const packageHomes: readonly {
  readonly package: RegExp;
  readonly homes: readonly string[];
  readonly why: string;
}[] = [
  {
    package: /^pino(-|$)/,
    homes: ["src/log.ts"],
    why: "a logger is handed in, so that a room can be used without one",
  },
  {
    package: /^prom-client$/,
    homes: ["src/metrics.ts"],
    why: "rooms tell what they do to the telemetry they are handed: what is made of it is one file's affair",
  },
  {
    package: /^@kubernetes\//,
    homes: ["src/kube/"],
    why: "one room meets the Kubernetes client's types and makes them ours",
  },
  {
    package: /^(@connectrpc|@bufbuild)\//,
    homes: [
      "src/wire/",
      "src/server/",
      "src/client/",
      "src/sandbox/cri",
      "src/devices/",
      "src/grpc/",
      "gen/",
    ],
    why: "messages and RPCs end at wire, and those of the node's programs where they are spoken to: everything else speaks the domain's types",
  },
  {
    package: /^@grpc\//,
    homes: ["src/grpc/"],
    why: "the node's own programs alone are spoken to with it",
  },
  {
    package: /^dockerode$/,
    homes: ["src/sandbox/docker"],
    why: "one file meets Docker's types and makes them ours, and a node without Docker never loads it",
  },
  {
    package: /^commander$/,
    homes: ["src/client/", "src/main.ts"],
    why: "command-line arguments are the CLI's: a room takes options objects",
  },
  {
    package: /^@peculiar\//,
    homes: ["src/certificates/"],
    why: "one file writes certificates; who serves or calls with them takes PEM",
  },
  {
    package: /^koffi$/,
    homes: ["src/interfaces/", "src/cni/", "src/state-lock.ts"],
    why: "native calls stay where the kernel is spoken to",
  },
];
