import { asPodplugError, PodplugError } from "../../domain/errors.ts";
import type { InterfaceEvent, NodeApi, PodInterface } from "../../domain/node-api.ts";
import type { PodRef, Target } from "../../domain/target.ts";
import type { NodeClient } from "../node-client.ts";
import { type Agent, type AgentsOptions, createAgents } from "./agents.ts";
import { mergeWatches } from "./merge-watches.ts";

export interface ClusterClientOptions extends AgentsOptions {
  /** Whose pods' nodes are asked by a call without a target; every node when absent. A watch follows every node. */
  readonly namespace?: string | undefined;
  /**
   * Hears of each agent that fails while others of the same call answer; they
   * are left out of the answer. Without it such a failure is the call's.
   */
  readonly onFailure?: ((failure: PodplugError) => void) | undefined;
}

/**
 * The agents of a whole cluster as one: each call goes to the agent of the
 * target's node, and one without a target to all of them at once. Targets are
 * pods: UNSUPPORTED for others, and for `info`, which is one node's.
 */
export interface ClusterClient extends NodeApi, AsyncDisposable {
  /** The agent of a pod's node, as it is now. It closes with the cluster's client. */
  nodeOf(
    pod: PodRef,
    signal: AbortSignal,
  ): Promise<{ readonly nodeName: string; readonly client: NodeClient }>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Agents asked at once; each costs connections here and at the API server. */
const maxAtOnce = 32;

/**
 * Calls fail as NodeApi says, as those of a node's client, and besides with
 * TARGET_NOT_FOUND, SANDBOX_NOT_READY (the pod has no node yet),
 * AGENT_NOT_FOUND, and what the API server says to its user: DENIED,
 * UNAUTHENTICATED, UNREACHABLE.
 */
export function createClusterClient(options: ClusterClientOptions): ClusterClient {
  const agents = createAgents(options);
  const { namespace, onFailure } = options;

  async function clientFor(target: Target, signal: AbortSignal): Promise<NodeClient> {
    return (await agents.ofPod(podOf(target), signal)).client;
  }

  /** Asks the agents of all nodes that pods of the namespace are on; of all nodes without one. */
  async function askAll<T>(
    among: string | undefined,
    ask: (agent: Agent) => Promise<T>,
    signal: AbortSignal,
  ): Promise<{ readonly answers: readonly T[]; readonly failures: readonly PodplugError[] }> {
    const found = await agents.all(among, signal);
    const failures: PodplugError[] = [...found.missing];
    const answers: T[] = [];
    const queue = [...found.agents];
    const work = async (): Promise<void> => {
      for (let agent = queue.shift(); agent !== undefined; agent = queue.shift()) {
        try {
          answers.push(await ask(agent));
        } catch (error) {
          failures.push(failureAt(agent.nodeName, error));
        }
      }
    };
    await Promise.all(Array.from({ length: maxAtOnce }, work));
    return { answers, failures };
  }

  async function* watchAll(signal: AbortSignal): AsyncGenerator<InterfaceEvent> {
    const left = new AbortController();
    const until = AbortSignal.any([signal, left.signal]);
    try {
      // Also those without a pod of the namespace: it may get one while this goes on.
      const found = await agents.all(undefined, signal);
      const failures: PodplugError[] = [];
      const failed = (nodeName: string, error: unknown): void => {
        if (until.aborted) return;
        const failure = failureAt(nodeName, error);
        failures.push(failure);
        if (onFailure === undefined) left.abort();
        else onFailure(failure);
      };
      const watches = found.agents.map(({ client, nodeName }) => watchOf(client, nodeName, failed));
      yield* mergeWatches(watches, until);
      if (signal.aborted) return;
      const [first] = failures;
      if (first !== undefined && onFailure === undefined) throw first;
      throw new PodplugError("UNREACHABLE", "every agent's watch has ended");
    } finally {
      left.abort();
    }

    async function* watchOf(
      client: NodeClient,
      nodeName: string,
      failed: (nodeName: string, error: unknown) => void,
    ): AsyncGenerator<InterfaceEvent> {
      try {
        yield* client.watch({}, until);
      } catch (error) {
        failed(nodeName, error);
      }
    }
  }

  const close = async (): Promise<void> => agents[Symbol.asyncDispose]();

  return {
    async attach(request, signal) {
      return (await clientFor(request.target, signal)).attach(request, signal);
    },
    async detach(request, signal) {
      if (request.target !== undefined) {
        return (await clientFor(request.target, signal)).detach(request, signal);
      }
      // An ID says nothing of where it is.
      const { answers, failures } = await askAll(
        undefined,
        ({ client }) => client.detach(request, signal),
        signal,
      );
      const done = answers.find(({ detached }) => detached);
      if (done !== undefined) return done;
      // Who didn't answer may have it.
      const [first] = failures;
      if (first !== undefined) throw first;
      return { detached: false };
    },
    async list({ target, counters }, signal) {
      if (target !== undefined) return (await clientFor(target, signal)).list({ target, counters }, signal);
      const { answers, failures } = await askAll(
        namespace,
        ({ client }) => client.list({ counters }, signal),
        signal,
      );
      const [first] = failures;
      if (first !== undefined && (answers.length === 0 || onFailure === undefined)) throw first;
      for (const failure of failures) onFailure?.(failure);
      return answers.flat().sort(byPlace);
    },
    async *watch({ target }, signal) {
      if (target === undefined) yield* watchAll(signal);
      else yield* (await clientFor(target, signal)).watch({ target }, signal);
    },
    async check(request, signal) {
      await (await clientFor(request.target, signal)).check(request, signal);
    },
    info: () =>
      Promise.reject(
        new PodplugError("UNSUPPORTED", "a cluster has many nodes: ask the agent of one of them"),
      ),
    nodeOf: (pod, signal) => agents.ofPod(pod, signal),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function podOf(target: Target): PodRef {
  if (target.kind === "pod") return target.pod;
  throw new PodplugError(
    "UNSUPPORTED",
    "in a cluster a target is a pod: only a node knows its containers and namespaces",
  );
}

function failureAt(nodeName: string, thrown: unknown): PodplugError {
  const error = asPodplugError(thrown);
  const { plugin, cniCode, details, retryAfterMs } = error;
  return new PodplugError(error.reason, `node ${nodeName}: ${error.message}`, {
    plugin,
    cniCode,
    details,
    retryAfterMs,
    cause: error,
  });
}

function byPlace(one: PodInterface, other: PodInterface): number {
  const place = ({ pod, netns }: PodInterface): string =>
    pod === undefined ? netns : `${pod.namespace}/${pod.name}`;
  return place(one) < place(other) ? -1 : place(one) > place(other) ? 1 : one.index - other.index;
}
