import { availableParallelism } from "node:os";
import packageJson from "../package.json" with { type: "json" };
import { createCaches } from "./agent/caches.ts";
import { keepControllerKey } from "./agent/controller-key.ts";
import { createDevices } from "./agent/devices.ts";
import { createExecutor, ifNamingOf } from "./agent/executor.ts";
import { podsAreKnown, runtimeAnswers } from "./agent/health.ts";
import { createHostPaths, withPathsSeen } from "./agent/host-paths.ts";
import { openIntent } from "./agent/intent.ts";
import type { ConnectOptions, Kubernetes } from "./agent/kubernetes.ts";
import { listenAddresses, needsReviews } from "./agent/listen.ts";
import { createCatalog, defaultNetworkName, needsDefinitions } from "./agent/networks.ts";
import { nodeNameOf } from "./agent/node-name.ts";
import { type Observation, startObservation } from "./agent/observation.ts";
import { observeApi } from "./agent/observed-api.ts";
import { pluginEnv } from "./agent/plugin-env.ts";
import { podLife } from "./agent/pod-life.ts";
import { podagentConfig } from "./agent/podagent-config.ts";
import { podagentAnswer, readPodagentFlags } from "./agent/podagent-flags.ts";
import { tellRequestId } from "./agent/request-id.ts";
import { createLocator } from "./agent/runtime.ts";
import { createStart } from "./agent/start-plugin.ts";
import { claimStateDir } from "./agent/state-dir.ts";
import { sweepOften } from "./agent/sweeping.ts";
import { type ProgramOptions, runUntilStopped } from "./agent/until-stopped.ts";
import { createEngine } from "./attachments/engine.ts";
import { createFileJournal } from "./attachments/file-journal.ts";
import { createFileSteps, type FileSteps } from "./attachments/file-steps.ts";
import { createChildExec } from "./cni/child-exec.ts";
import { createCni } from "./cni/cni.ts";
import { createContainedExec } from "./cni/contained-exec.ts";
import type { ExecPlugin } from "./cni/exec-plugin.ts";
import { endProcesses } from "./cni/processes.ts";
import { agentMarkerPrefix } from "./cni/run-marker.ts";
import { type Config, parseConfig, refuseContradictions } from "./config.ts";
import { followHosts } from "./contiv/follow-hosts.ts";
import { isKubeVirt } from "./controller/pod-words.ts";
import { systemClock } from "./domain/clock.ts";
import type { Logger } from "./domain/log.ts";
import { podKeyOf } from "./domain/pod.ts";
import { neverAborted } from "./domain/signals.ts";
import type { PodRef } from "./domain/target.ts";
import { observeExecutor } from "./executor/observed.ts";
import { createInterfaceEvents } from "./interfaces/interface-events.ts";
import { createNetlinkInterfaceReader } from "./interfaces/netlink.ts";
import type { PodFeed } from "./kube/contract.ts";
import { isOwnPlugin, ownPluginsDir } from "./own-plugins.ts";
import { createAudit } from "./server/audit.ts";
import { type Server, startServer } from "./server/server.ts";

// Of the same part of the program.
export { runControllerProcess } from "./agent/controller-process.ts";

/** How long unary calls get to finish after SIGTERM, before their connections are cut. */
const drainMs = 60_000;

/** How long the plugins of an earlier run get to end once they were killed, before the agent goes on without that. */
const leftoversMs = 2_000;

/** The watcher's name among the API's callers. */
const controllerCaller = { name: "controller", reconciler: true } as const;

/** The outermost parts, where a test can stop or fail the agent at a chosen point. */
export interface AgentParts {
  readonly steps: FileSteps;
  readonly exec: ExecPlugin;
}

export interface AgentOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** Who changed what, and who was refused; the log when absent. */
  readonly audit?: Logger | undefined;
  /** The controller runs in another process, which shows the key in the state directory. */
  readonly controllerElsewhere?: boolean | undefined;
  readonly parts?: ((parts: AgentParts) => AgentParts) | undefined;
}

export interface RunningAgent {
  readonly addresses: Server["addresses"] & { readonly ops?: Observation["address"] };
  /** Resolves when all that an earlier run left unfinished was tried once. */
  readonly recovered: Promise<void>;
  /** Lets what runs finish, tells the watchers, and lets go of everything. */
  stop(): Promise<void>;
}

/** Composes the node agent: a configuration in, a running server out. */
export async function startAgent({
  config: written,
  env,
  log,
  audit = log,
  controllerElsewhere = false,
  parts = (own) => own,
}: AgentOptions): Promise<RunningAgent> {
  refuseContradictions(written);
  const seenAt = createHostPaths(written.hostRoot);
  const config = withPathsSeen(written, seenAt);
  await using cleanup = new AsyncDisposableStack();
  const { stateDir } = config;
  const agentId = await claimStateDir(stateDir, cleanup);
  const nodeName = nodeNameOf(config, env);
  const { ops, otlp } = config;
  const observation = cleanup.use(await startObservation({ listen: ops.listen, otlp, nodeName, log }));
  const { health, telemetry } = observation;
  const { steps, exec } = parts({
    steps: createFileSteps(),
    exec: createChildExec({ start: await createStart(config, log, cleanup), clock: systemClock }),
  });

  const interfaces = cleanup.use(await createNetlinkInterfaceReader({ seenAt }));
  const sandboxes = await createLocator(config, { interfaces, seenAt, log });
  cleanup.defer(() => sandboxes[Symbol.dispose]?.());
  health.require("runtime", runtimeAnswers(sandboxes));
  const intent = openIntent(config, nodeName, log);
  const kubernetes = await connect({ config, env, nodeName, intent, log, telemetry });
  if (kubernetes) cleanup.use(kubernetes);
  const timeoutMs = Math.ceil(config.cni.timeoutSeconds * 1000);
  const cni = createCni({
    binDirs: [...config.cni.binDirs, ownPluginsDir],
    seenAt: (path) => (isOwnPlugin(path) ? path : seenAt(path)),
    env: pluginEnv(env),
    exec: tellRequestId(createContainedExec({ exec, agentId, clock: systemClock, log })),
    log,
    telemetry,
  });
  const engine = createEngine({
    nodeName,
    version: packageJson.version,
    journal: await createFileJournal({ stateDir, steps, log }),
    sandboxes,
    networks: createCatalog(config, kubernetes?.definitions, intent, log),
    executor: observeExecutor(createExecutor(config, cni, seenAt, log), telemetry),
    interfaces,
    devices: cleanup.use(createDevices(config)),
    interfaceEvents: cleanup.use(await createInterfaceEvents({ clock: systemClock, seenAt })),
    cached: createCaches(config, log),
    defaultNetworkName: () => defaultNetworkName(config, log),
    maxConcurrent: config.cni.maxConcurrent || Math.min(Math.max(2 * availableParallelism(), 4), 16),
    timeoutMs,
    ifNaming: ifNamingOf(config),
    podLife: (pod) => podLife(pod, kubernetes?.pods),
    heals: (pod) => config.healing.enabled && (pod === undefined || isOrdinary(pod, kubernetes?.pods)),
    clock: systemClock,
    log,
    telemetry,
  });

  // Before its parts are let go of, also when the server can't start: recovery has begun by then.
  cleanup.defer(() => engine.drain());
  const { settled } = await engine.recover((spare) =>
    endProcesses(
      agentMarkerPrefix(agentId),
      { clock: systemClock, spare, timeoutMs: leftoversMs },
      neverAborted,
    ),
  );
  const server = await startServer({
    apiFor: (caller) => engine.forCaller(caller),
    targetOf: engine.targetOf,
    listen: listenAddresses(config, kubernetes?.reviewer),
    sources: config.networks.map((source) => (typeof source === "string" ? source : "directory")),
    limits: {
      requestBytes: config.limits.requestBytes,
      inFlightPerCaller: config.limits.inFlightPerCaller,
      inFlight: config.limits.inFlight,
      maxDeadlineMs: Math.ceil(config.limits.maxDeadlineSeconds * 1000),
    },
    controllerKey: controllerElsewhere ? await keepControllerKey(stateDir) : undefined,
    log,
    audit,
    telemetry,
    metrics: () => observation.metrics.page(),
    version: packageJson.version,
  });
  if (server.addresses.tcp) {
    log.warn(server.addresses.tcp, "insecure: every process of this node may call the API on its TCP port");
  }
  const audited = createAudit(audit).of(engine.forCaller(controllerCaller), {
    identity: { ...controllerCaller, by: "in-process", groups: [] },
  });
  const controllerApi = observeApi(audited, telemetry);
  const stopped = new AbortController();
  const known = kubernetes && podsAreKnown(kubernetes.pods, stopped.signal);
  if (known) health.require("pods", known.check);
  const uplinks = { cni, api: controllerApi, timeoutMs, clock: systemClock, log };
  server.setServing(true);
  health.enter("serving");
  const following = [
    known && heard("following the node's pods", known.following),
    heard(
      "watching over attachments",
      engine.watchOver(config.healing.intervalSeconds * 1000, stopped.signal),
    ),
    heard("looking after ended pods", sweepOften(engine, kubernetes?.pods, stopped.signal)),
    config.controller.enabled &&
      !controllerElsewhere &&
      kubernetes &&
      heard("the controller", kubernetes.control(controllerApi, stopped.signal)),
    intent && heard("following the intent's hosts", followHosts({ ...intent, ...uplinks }, stopped.signal)),
  ];
  const held = cleanup.move();
  return {
    addresses: { ...server.addresses, ops: observation.address },
    recovered: settled.then(() => collectGarbage()),
    async stop() {
      await using _ = held;
      health.enter("stopping");
      stopped.abort();
      // Together: what is queued must not begin while the others end.
      await Promise.all([server.close(drainMs), engine.drain(), ...following]);
    },
  };

  /** Neither of them ends before it is told to, unless podplug itself is at fault. */
  async function heard(what: string, follower: Promise<void>): Promise<void> {
    try {
      await follower;
    } catch (error) {
      health.lost(what);
      log.error({ what, err: error }, "a part of the agent ended");
    }
  }

  async function collectGarbage(): Promise<void> {
    try {
      await engine.collectGarbage(config.cni.gc, neverAborted);
    } catch (error) {
      log.error({ err: error }, "garbage collection failed");
    }
  }
}

/** The API server, for those who need it; its package is the largest of all and is loaded for them only. */
async function connect(options: ConnectOptions): Promise<Kubernetes | undefined> {
  const { config } = options;
  if (!config.controller.enabled && !needsDefinitions(config) && !needsReviews(config)) return undefined;
  const { connectKubernetes } = await import("./agent/kubernetes.ts");
  return await connectKubernetes(options);
}

/** KubeVirt's pods have labels that only the API server tells of: without it each may be one. */
function isOrdinary(ref: PodRef, pods: PodFeed | undefined): boolean {
  const pod = pods?.get(podKeyOf(ref));
  return pod !== undefined && !isKubeVirt(pod);
}

/** `podplug agent`: runs until SIGTERM or SIGINT and resolves with the exit code. */
export async function runAgent(options: ProgramOptions): Promise<number> {
  return await runNode(options, "agent");
}

/** `podplug server`: the same without the controller, which is to run in a process of its own. */
export async function runServer(options: ProgramOptions): Promise<number> {
  return await runNode(options, "server");
}

/** `podagent`: the agent under the name and with the flags of Kaloom's. */
export async function runPodagent(
  args: readonly string[],
  { env, stdout }: Pick<NodeJS.Process, "env" | "stdout">,
): Promise<number> {
  const answer = podagentAnswer(args, packageJson.version);
  if (answer === undefined) {
    const configFile = "podagent's flags";
    const configFrom = async (): Promise<Config> =>
      parseConfig(await podagentConfig(readPodagentFlags(args)), configFile);
    return await runNode({ configFile, configFrom, env }, "podagent");
  }
  stdout.write(answer);
  return 0;
}

async function runNode(options: ProgramOptions, command: "agent" | "server" | "podagent"): Promise<number> {
  const { env } = options;
  return await runUntilStopped({ ...options, command }, async (config, log, audit) => {
    const agent = await startAgent({ config, env, log, audit, controllerElsewhere: command === "server" });
    agent.recovered.then(
      () => log.info({}, "recovery is complete"),
      (error: unknown) => log.error({ err: error }, "recovery failed"),
    );
    return { facts: agent.addresses, stop: () => agent.stop() };
  });
}
