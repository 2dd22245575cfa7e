import type { PodRef } from "../domain/target.ts";
import type { SandboxLocator } from "./contract.ts";
import { createDockerClient, type DockerClient } from "./docker/client.ts";
import {
  containerShape,
  type DockerContainer,
  type DockerSummary,
  summariesShape,
  versionShape,
} from "./docker/shapes.ts";
import type { ListedSandbox, Runtime, SandboxLook } from "./runtime.ts";
import { createRuntimeLocator, type RuntimeLocatorOptions } from "./runtime-locator.ts";

export interface DockerLocatorOptions extends RuntimeLocatorOptions {
  readonly socketPath: string;
  /** How long Docker has for one answer; 10 seconds when not given. */
  readonly deadlineMs?: number | undefined;
}

export interface DockerLocator extends SandboxLocator, Disposable {}

/**
 * Finds plain containers by ID or name, and the pods of a Kubernetes on
 * cri-dockerd by the labels that it gives their sandboxes. A container in
 * another's network (`container:…`) leads to the one that owns it.
 */
export function createDockerLocator({
  socketPath,
  deadlineMs = 10_000,
  ...options
}: DockerLocatorOptions): DockerLocator {
  const client = createDockerClient({ socketPath, deadlineMs });
  return {
    ...createRuntimeLocator(createDockerRuntime(client), options),
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

const typeLabel = "io.kubernetes.docker.type";
const sandboxType = "podsandbox";
const podLabel = {
  namespace: "io.kubernetes.pod.namespace",
  name: "io.kubernetes.pod.name",
  uid: "io.kubernetes.pod.uid",
};
const othersNetwork = "container:";

function createDockerRuntime(client: DockerClient): Runtime {
  function inspect(idOrName: string, signal: AbortSignal): Promise<DockerContainer | undefined> {
    return client.ask(
      (docker, abortSignal) => docker.getContainer(idOrName).inspect({ abortSignal }),
      containerShape,
      signal,
    );
  }

  async function list(
    which: { readonly all: boolean; readonly label: readonly string[] },
    signal: AbortSignal,
  ): Promise<readonly DockerSummary[]> {
    const { all, label } = which;
    const summaries = await client.ask(
      (docker, abortSignal) => docker.listContainers({ all, filters: { label: [...label] }, abortSignal }),
      summariesShape,
      signal,
    );
    return summaries ?? [];
  }

  return {
    async describe(signal) {
      const version = await client.ask((docker) => docker.version(), versionShape, signal);
      return `docker ${(version?.Version ?? "").replace(/\+.*/, "")}`.trim();
    },

    async listOfPod({ namespace, name }, signal) {
      const label = [
        `${typeLabel}=${sandboxType}`,
        `${podLabel.namespace}=${namespace}`,
        `${podLabel.name}=${name}`,
      ];
      return (await list({ all: true, label }, signal)).map(listed);
    },

    async listReady(signal) {
      const running = await list({ all: false, label: [] }, signal);
      return running
        .filter(({ HostConfig: { NetworkMode } }) => !NetworkMode.startsWith(othersNetwork))
        .map(listed);
    },

    async isReady(sandboxId, signal) {
      return (await inspect(sandboxId, signal))?.State.Running ?? false;
    },

    async look(sandboxId, signal) {
      const container = await inspect(sandboxId, signal);
      return container && looked(container);
    },

    async sandboxIdOf(containerId, signal) {
      let container = await inspect(containerId, signal);
      // An owner's network is its own: Docker refuses a chain.
      const { NetworkMode = "" } = container?.HostConfig ?? {};
      if (NetworkMode.startsWith(othersNetwork)) {
        container = await inspect(NetworkMode.slice(othersNetwork.length), signal);
      }
      return container?.Id;
    },
  };
}

function podOf(labels: Readonly<Record<string, string>>): (PodRef & { readonly uid: string }) | undefined {
  if (labels[typeLabel] !== sandboxType) return undefined;
  const namespace = labels[podLabel.namespace];
  const name = labels[podLabel.name];
  const uid = labels[podLabel.uid];
  return namespace && name && uid ? { namespace, name, uid } : undefined;
}

function listed({ Id, Created, State, Labels }: DockerSummary): ListedSandbox {
  return { id: Id, pod: podOf(Labels), ready: State === "running", createdAt: BigInt(Created) };
}

function looked({ Id, Created, State, Config, HostConfig, NetworkSettings }: DockerContainer): SandboxLook {
  const { SandboxKey } = NetworkSettings;
  return {
    id: Id,
    pod: podOf(Config.Labels),
    ready: State.Running && State.Pid > 0,
    createdAt: BigInt(Date.parse(Created)),
    hostNetwork: HostConfig.NetworkMode === "host",
    netnsPaths: [
      ...(SandboxKey ? [SandboxKey] : []),
      ...(State.Pid > 0 ? [`/proc/${State.Pid}/ns/net`] : []),
    ],
    handlers: [HostConfig.Runtime],
  };
}
