/** Writes docs/configuration.md from the schema of src/config.ts. */
import { z } from "zod";
import { configSchema } from "../src/config.ts";
import { writePage } from "./generated-page.ts";

type Schema = z.core.JSONSchema.JSONSchema;

const intro = `# Configuration

<!-- Written by scripts/write-config-docs.ts from src/config.ts: change it there, then run make docs. -->

\`podplug agent --config FILE\` reads one file, YAML or JSON. Every key has a
default, so that a file names only what differs; an unknown key is an error.
All faults are reported together, each with the path of its key, as
[INVALID_CONFIGURATION](errors.md#invalid_configuration) with exit code 2.

Values that contradict each other are refused at start, with what to set
instead. On a node of a cluster such a file is enough, and none but \`{}\` where
the agent runs as a pod with a service account:

\`\`\`yaml
controller:
  kubeconfig: /etc/podplug/kubeconfig
\`\`\`

Without a cluster:

\`\`\`yaml
runtime: netns
networks:
  - directory: /etc/podplug/networks.d
controller:
  enabled: false
\`\`\`

[networks.md](networks.md) tells how to fill such a directory.

**Several files.** \`--config DIRECTORY\` reads each \`*.yaml\`, \`*.yml\` and \`*.json\`
in it, in the order of their names. A later file has the last word on a key; a
list is taken as a whole.

A configuration file of multus-dynamic-networks-controller, that is one with no
keys but \`criSocketPath\`, \`multusSocketPath\` and, in older ones, \`criType\`, is
taken as it is. It means \`runtime: cri\` on that socket. Its Multus socket is
noted and not used: podplug runs the plugins itself. Everything else has its
default.

**Runtimes that hide the namespace.** gVisor reads a namespace's interfaces only
when a pod starts, and the guest of Kata Containers sees none that come later.
Pods that they run are refused as
[NAMESPACE_HIDDEN](errors.md#namespace_hidden), unless their runtime handler is
listed in \`pluggableHandlers\`, for setups that bring the interface to the pod by
other means. A handler has the name that the node's runtime configuration gives
it, or its shim's: \`kata-qemu\`, \`io.containerd.runsc.v1\`.

**Executors.** \`direct\` runs the plugins itself. With \`multus\`, Multus's thick
plugin runs them, by its Unix socket; no attachment is made while its daemon is
away. It changes the configuration by its own, which podplug can't know of. What
its API has no place for (bandwidth, port mappings, an InfiniBand GUID, a device)
is refused as [UNSUPPORTED](errors.md#unsupported), and so are targets that
aren't pods. Once a pod's namespace is gone, or the daemon has been away for half
a minute, podplug unplugs from its own record; for that, and for CHECK, the
plugins must be in \`cni.binDirs\` too. An ADD that it doesn't answer it may still
finish: podplug repeats the DEL for \`cni.timeoutSeconds\`, and finds nothing that the
daemon plugs later than that.

With \`kactus\`, Kaloom's meta plugin does: the node's first configuration in
\`cni.confDir\`, which must be kactus's, is run once for each Network, as podagent
runs it. It plugs Kaloom's Networks alone (\`networks: [kaloom]\`), each once into a
pod, under the name that it makes from the Network's own (\`net\` and twelve digits
of its MD5), and takes a hardware address and nothing else: addresses, bandwidth,
port mappings, a device, \`cni-args\`, another name and other networks are refused
as [UNSUPPORTED](errors.md#unsupported). It reads the Network anew from the API
server, and has no CHECK and no GC.

What was plugged under one executor is unplugged by that one, and made again by it
when its interface vanished, whichever is configured by then.

**Two processes.** \`podplug server\` and \`podplug controller --server ADDRESS\` read
the same file. The server runs everything but the controller, whatever
\`controller.enabled\` says; the controller reaches it on its Unix socket, and shows
the key that the server keeps in \`stateDir\`.

All keys with their defaults:

`;

/** What a value may be, where the default doesn't show it. */
function rangeOf(schema: Schema): string {
  const { minimum, exclusiveMinimum, maximum, items } = schema;
  if (schema.enum !== undefined) return `one of ${schema.enum.join(", ")}`;
  if (typeof items === "object" && !Array.isArray(items)) return rangeOf(items);
  // The whole numbers' own limits say nothing.
  const top = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && top !== undefined) return `${minimum} to ${top}`;
  if (exclusiveMinimum !== undefined && top !== undefined)
    return `more than ${exclusiveMinimum}, up to ${top}`;
  if (minimum !== undefined && minimum > 0) return `${minimum} or more`;
  if (exclusiveMinimum !== undefined) return `more than ${exclusiveMinimum}`;
  return "";
}

/** As YAML writes a flow value. */
function flow(value: unknown): string {
  return JSON.stringify(value).replaceAll(",", ", ");
}

function linesOf(key: string, schema: Schema, indent: string): readonly string[] {
  const { description, properties } = schema;
  const range = rangeOf(schema);
  const facts = [description ?? "", range === "" ? "" : `(${range})`].filter((fact) => fact !== "").join(" ");
  const comment = facts === "" ? [] : [`${indent}# ${facts}`];
  if (properties === undefined) return [...comment, `${indent}${key}: ${flow(schema.default)}`];
  const members = Object.entries(properties).flatMap(([name, member]) =>
    typeof member === "boolean" ? [] : linesOf(name, member, `${indent}  `),
  );
  return [...comment, `${indent}${key}:`, ...members];
}

const { properties = {} } = z.toJSONSchema(configSchema, { io: "input" });
const lines = Object.entries(properties).flatMap(([name, member]) =>
  typeof member === "boolean" ? [] : linesOf(name, member, ""),
);

writePage("docs/configuration.md", `${intro}\`\`\`yaml\n${lines.join("\n")}\n\`\`\`\n`);
