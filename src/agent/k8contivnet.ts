import { createColours } from "../client/cli/output/colours.ts";
import { formatError } from "../client/cli/output/error-text.ts";
import { createNodeClient } from "../client/node-client.ts";
import type { Config } from "../config.ts";
import { createContivSource } from "../controller/intent/contiv.ts";
import type { WantedSelection } from "../controller/wanted.ts";
import { systemClock } from "../domain/clock.ts";
import { asPodplugError, PodplugError } from "../domain/errors.ts";
import { silentLogger } from "../domain/log.ts";
import { isObjectName } from "../domain/names.ts";
import { kinds } from "../domain/reasons.ts";
import { loadConfig } from "./config-files.ts";
import { openIntent } from "./intent.ts";
import { createKubeletPlugin, type InfraContainer, type PodName } from "./kubelet-plugin.ts";
import { nodeNameOf } from "./node-name.ts";

const usage = `Usage: k8contivnet COMMAND [NAMESPACE POD CONTAINER]

The kubelet's exec network plugin, under the name of contiv's, by podplug's agent.

  init       does nothing: the agent need not run yet
  setup      resolves once the pod has what contiv's intent has for it
  teardown   unplugs that
  status     prints the address of the pod's own network
  help       prints this

CONTAINER is the ID of the pod's infra container, whose labels decide when they
name another pod. $PODPLUG_CONFIG names the agent's configuration (default
/etc/podplug/config.yaml), which has contiv.intentFile.
`;

const commands = ["setup", "teardown", "status"] as const;
type Command = (typeof commands)[number];

interface Sink {
  write(text: string): unknown;
}

export interface K8contivnetProcess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Sink;
  readonly stderr: Sink;
}

/** One call of the kubelet's; its exit code. */
export async function runK8contivnet(
  args: readonly string[],
  { env, stdout, stderr }: K8contivnetProcess,
): Promise<number> {
  const [word = "", namespace = "", name = "", containerId = "", ...more] = args;
  if (word === "help" || word === "init") {
    if (word === "help") stdout.write(usage);
    return 0;
  }
  const command = commands.find((each) => each === word);
  const isWhole = isObjectName(namespace) && isObjectName(name) && containerId !== "" && more.length === 0;
  if (!command || !isWhole) {
    stderr.write(`k8contivnet: ${JSON.stringify(args)} can't be understood\n\n${usage}`);
    return kinds.invalid.exitCode;
  }
  try {
    const file = env["PODPLUG_CONFIG"] || "/etc/podplug/config.yaml";
    const config = await loadConfig(file);
    const answer = await carryOut(command, { pod: { namespace, name }, containerId }, config, env);
    if (answer !== undefined) stdout.write(`${answer}\n`);
    return 0;
  } catch (thrown) {
    const error = asPodplugError(thrown);
    stderr.write(formatError(error, `podplug k8contivnet ${command}`, createColours(false)));
    return kinds[error.kind].exitCode;
  }
}

async function carryOut(
  command: Command,
  container: InfraContainer,
  config: Config,
  env: K8contivnetProcess["env"],
): Promise<string | undefined> {
  // As long as the plugins may take, and some time to begin with.
  const signal = AbortSignal.timeout(Math.ceil(config.cni.timeoutSeconds * 1000) + 10_000);
  await using api = createNodeClient({ server: `unix://${config.api.socket}` });
  const plugin = createKubeletPlugin({
    api,
    wanted: (pod) => wantedBy(pod, config, env),
    agentPlugs: config.controller.enabled,
    clock: systemClock,
  });
  if (command !== "status") {
    await plugin[command](container, signal);
    return undefined;
  }
  const ip = await plugin.address(container, signal);
  return ip && JSON.stringify({ apiVersion: "v1beta1", kind: "PodNetworkStatus", ip });
}

function wantedBy(pod: PodName, config: Config, env: K8contivnetProcess["env"]): readonly WantedSelection[] {
  const intent = openIntent(config, nodeNameOf(config, env), silentLogger);
  if (!intent) {
    throw new PodplugError("INVALID_CONFIGURATION", "the configuration has no contiv.intentFile");
  }
  const read = intent.file.current();
  if (read.kind === "invalid") {
    // What isn't in the file it can't be for: the node's other pods start.
    if (read.words && !read.words.has(pod.name)) return [];
    const details = read.faults.join("\n");
    throw new PodplugError("INVALID_NETWORK", `intent ${intent.file.path} can't be used`, { details });
  }
  const asked = createContivSource({ ...intent, podKeys: () => [] }).read(pod);
  if (asked.kind !== "valid")
    throw new PodplugError("INVALID_NETWORK", `intent ${intent.file.path}: ${asked.fault}`);
  return asked.selections;
}
