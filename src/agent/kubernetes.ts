import type { Config } from "../config.ts";
import { kaloomAnnotation } from "../controller/annotations/kaloom.ts";
import { npwgAnnotation } from "../controller/annotations/npwg.ts";
import { runController } from "../controller/controller.ts";
import { createContivSource } from "../controller/intent/contiv.ts";
import { annotationSource } from "../controller/source.ts";
import { systemClock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { NodeApi } from "../domain/node-api.ts";
import type { Telemetry } from "../domain/telemetry.ts";
import { createKubeAccess, type KubeLocation } from "../kube/access.ts";
import { createApiClient } from "../kube/api-client.ts";
import {
  type DefinitionReader,
  networkStatusAnnotation,
  type PodFeed,
  type Reviewer,
} from "../kube/contract.ts";
import { createDefinitionReader } from "../kube/definition-reader.ts";
import { createEventRecorder } from "../kube/event-recorder.ts";
import { createOwnWrites } from "../kube/own-writes.ts";
import { startPodFeed } from "../kube/pod-feed.ts";
import { createReviewer } from "../kube/reviewer.ts";
import { createPodStatusWriter } from "../kube/status-writer.ts";
import { ifNamingOf } from "./executor.ts";
import type { NodeIntent } from "./intent.ts";
import { defaultNetworkName } from "./networks.ts";

/** How long the API server has for one review; somebody waits for it. */
const reviewMs = 10_000;

/** How many pods are worked on at once; those whose plugins hang count too. */
const maxPodsAtOnce = 256;

/** What of the cluster the agent uses. */
export interface Kubernetes extends AsyncDisposable {
  readonly definitions: DefinitionReader;
  /** This node's pods. */
  readonly pods: PodFeed;
  /** Who callers are and what they may do. */
  readonly reviewer: Reviewer;
  /** Plugs what annotations ask for, by the API as any other client; ends when `stopped` aborts. */
  control(api: NodeApi, stopped: AbortSignal): Promise<void>;
}

export interface ConnectOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nodeName: string;
  /** What the node was told of its pods beside their annotations. */
  readonly intent?: NodeIntent | undefined;
  readonly log: Logger;
  readonly telemetry: Telemetry;
}

/** INVALID_CONFIGURATION when there is no way to an API server; one that is away is waited for. */
export async function connectKubernetes({
  config,
  env,
  nodeName,
  intent,
  log,
  telemetry,
}: ConnectOptions): Promise<Kubernetes> {
  const annotations = config.controller.annotations.map((which) =>
    which === "npwg" ? npwgAnnotation : kaloomAnnotation,
  );
  const access = await createKubeAccess(locationOf(config, env));
  const client = createApiClient({ access, clock: systemClock });
  // On connections of their own: however many callers are asked about, the controller's calls don't wait for them.
  const reviewAccess = await createKubeAccess(locationOf(config, env));
  const reviews = createApiClient({ access: reviewAccess, clock: systemClock, callMs: reviewMs });
  const shared = { client, nodeName, clock: systemClock, log, telemetry };
  const kept = [networkStatusAnnotation, ...annotations.map(({ annotation }) => annotation)];
  const ownWrites = createOwnWrites();
  const pods = startPodFeed({ ...shared, annotations: kept, ownWrites });
  const events = createEventRecorder(shared);
  const sources = annotations.map(annotationSource);
  if (intent) sources.push(createContivSource({ ...intent, podKeys: () => pods.keys() }));

  return {
    definitions: createDefinitionReader({ client }),
    pods,
    reviewer: createReviewer({ client: reviews }),
    control: async (api, stopped) => {
      await runController(
        {
          api,
          pods,
          status: createPodStatusWriter({ client, ownWrites }),
          events,
          sources,
          defaultNetworkName: await defaultNetworkName(config, log),
          ifNaming: ifNamingOf(config),
          heals: config.healing.enabled,
          resyncMs: config.healing.intervalSeconds * 1000,
          maxConcurrent: maxPodsAtOnce,
          // A replacement runs DEL, ADD and perhaps DEL again.
          timeoutMs: config.cni.timeoutSeconds * 3000 + 10_000,
          clock: systemClock,
          random: Math.random,
          log,
          telemetry,
        },
        stopped,
      );
    },
    async [Symbol.asyncDispose]() {
      await pods[Symbol.asyncDispose]();
      await events[Symbol.asyncDispose]();
      access[Symbol.dispose]();
      reviewAccess[Symbol.dispose]();
    },
  };
}

function locationOf({ controller }: Config, env: Readonly<Record<string, string | undefined>>): KubeLocation {
  if (controller.kubeconfig) return { kind: "kubeconfig", path: controller.kubeconfig };
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"];
  if (host && port) return { kind: "in-cluster", host, port };
  throw new PodplugError(
    "INVALID_CONFIGURATION",
    "there is no way to an API server: set controller.kubeconfig, or run as a pod with a service account; without a cluster, set controller.enabled to false and networks to a directory",
  );
}
