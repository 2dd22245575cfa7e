import {
  NamespaceMode,
  type PodSandbox,
  PodSandboxState,
  type PodSandboxStatusResponse,
  RuntimeService,
} from "../../gen/runtime/v1/api_pb.ts";
import { PodplugError } from "../domain/errors.ts";
import { createUnixClient, type UnixClient } from "../grpc/unix-client.ts";
import type { SandboxLocator } from "./contract.ts";
import { parseSandboxInfo } from "./cri/info.ts";
import type { ListedSandbox, Runtime, SandboxLook } from "./runtime.ts";
import { createRuntimeLocator, type RuntimeLocatorOptions } from "./runtime-locator.ts";

export interface CriLocatorOptions extends RuntimeLocatorOptions {
  readonly socketPath: string;
  /** How long the runtime has for one answer; 10 seconds when not given. */
  readonly deadlineMs?: number | undefined;
}

export interface CriLocator extends SandboxLocator, Disposable {
  /** The runtime's own name: `containerd`, `cri-o`, `docker` for cri-dockerd. */
  runtimeName(signal: AbortSignal): Promise<string>;
}

/**
 * Finds pods and their containers by the Container Runtime Interface v1, as
 * containerd and CRI-O speak it: a pod by the labels that kubelet gives every
 * sandbox. cri-dockerd speaks it too, but doesn't say where a namespace is: its
 * pods are found through Docker.
 */
export function createCriLocator({
  socketPath,
  deadlineMs = 10_000,
  ...options
}: CriLocatorOptions): CriLocator {
  const client = createUnixClient({ socketPath, peer: "the container runtime", deadlineMs });
  return {
    ...createRuntimeLocator(createCriRuntime(client), options),
    async runtimeName(signal) {
      return (await client.call(RuntimeService.method.version, {}, signal)).runtimeName;
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

const podNameLabel = "io.kubernetes.pod.name";
const podNamespaceLabel = "io.kubernetes.pod.namespace";

function createCriRuntime(client: UnixClient): Runtime {
  const { version, listPodSandbox, podSandboxStatus, listContainers } = RuntimeService.method;

  async function status(
    podSandboxId: string,
    verbose: boolean,
    signal: AbortSignal,
  ): Promise<PodSandboxStatusResponse | undefined> {
    try {
      return await client.call(podSandboxStatus, { podSandboxId, verbose }, signal);
    } catch (error) {
      if (error instanceof PodplugError && error.reason === "TARGET_NOT_FOUND") return undefined;
      throw error;
    }
  }

  return {
    async describe(signal) {
      const { runtimeName, runtimeVersion } = await client.call(version, {}, signal);
      // What follows a plus tells how it was built; who builds containerd decides on the v.
      return `cri ${runtimeName} ${runtimeVersion.replace(/^v|\+.*/g, "")}`;
    },

    async listOfPod({ namespace, name }, signal) {
      const labelSelector = { [podNamespaceLabel]: namespace, [podNameLabel]: name };
      const { items } = await client.call(listPodSandbox, { filter: { labelSelector } }, signal);
      return items
        .map(listed)
        .filter((sandbox) => sandbox.pod?.namespace === namespace && sandbox.pod.name === name);
    },

    async listReady(signal) {
      const state = { state: PodSandboxState.SANDBOX_READY };
      const { items } = await client.call(listPodSandbox, { filter: { state } }, signal);
      return items.map(listed).filter(({ ready }) => ready);
    },

    async isReady(sandboxId, signal) {
      const answer = await status(sandboxId, false, signal);
      return answer?.status?.state === PodSandboxState.SANDBOX_READY;
    },

    async look(sandboxId, signal) {
      const answer = await status(sandboxId, true, signal);
      return answer && looked(answer);
    },

    async sandboxIdOf(containerId, signal) {
      const { containers } = await client.call(listContainers, { filter: { id: containerId } }, signal);
      const container = containers.find(({ id }) => id.startsWith(containerId));
      if (container) return container.podSandboxId;
      return (await status(containerId, false, signal))?.status?.id;
    },
  };
}

function listed({ id, metadata, state, createdAt }: Omit<PodSandbox, "$typeName">): ListedSandbox {
  const pod = metadata && { namespace: metadata.namespace, name: metadata.name, uid: metadata.uid };
  return { id, pod, ready: state === PodSandboxState.SANDBOX_READY, createdAt };
}

function looked({ status, info }: PodSandboxStatusResponse): SandboxLook | undefined {
  if (!status) return undefined;
  const { netnsPaths, runtimeType } = parseSandboxInfo(info);
  return {
    ...listed(status),
    hostNetwork: status.linux?.namespaces?.options?.network === NamespaceMode.NODE,
    netnsPaths,
    handlers: [status.runtimeHandler, ...(runtimeType === undefined ? [] : [runtimeType])],
  };
}
