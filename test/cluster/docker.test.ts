import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { silentLogger } from "../../src/domain/log.ts";
import type { PodRef } from "../../src/domain/target.ts";
import { createNetlinkInterfaceReader, type NetlinkInterfaceReader } from "../../src/interfaces/netlink.ts";
import { createAutoLocator } from "../../src/sandbox/auto.ts";
import { createDockerLocator } from "../../src/sandbox/docker.ts";
import { type ContainerWorld, containerLocatorContract } from "../contracts/container-locator.ts";
import {
  type NamespaceWorld,
  namespaceLocatorContract,
  type PodWorld,
  podLocatorContract,
} from "../contracts/sandbox-locator.ts";
import { makeNetns } from "../support/netns.ts";
import { useCluster } from "./support/cluster.ts";
import { type DockerContainer, type DockerEngine, type DockerPod, startDocker } from "./support/docker.ts";

const cluster = useCluster();
const { signal } = new AbortController();
let interfaces: NetlinkInterfaceReader;
let docker: DockerEngine;

beforeAll(async () => {
  interfaces = await createNetlinkInterfaceReader();
  docker = await startDocker(cluster);
});

afterAll(async () => {
  interfaces[Symbol.dispose]();
  await docker[Symbol.asyncDispose]();
});

const locatorOptions = () => ({ interfaces, clock: systemClock, log: silentLogger });

async function makeWorld(): Promise<NamespaceWorld & PodWorld & ContainerWorld> {
  const stack = new AsyncDisposableStack();
  const locator = stack.use(createDockerLocator({ ...locatorOptions(), socketPath: docker.socketPath }));
  stack.defer(() => docker.clear());
  const pods = new Map<string, DockerPod & { readonly uid: string; readonly attempt: number }>();
  const containers = new Map<string, DockerContainer>();
  const at = ({ name }: PodRef) => found(pods, name);

  async function addPod(pod: PodRef, uid: string, attempt: number): Promise<DockerPod> {
    const made = await docker.runPod({ ...pod, uid }, attempt);
    pods.set(pod.name, { ...made, uid, attempt });
    return made;
  }
  async function stopPod(pod: PodRef): Promise<void> {
    const { container, sandbox } = at(pod);
    await container.stop();
    await sandbox.stop();
  }

  return {
    locator,
    interfaces,
    namespaces: {
      async add() {
        const netns = stack.use(await makeNetns());
        const process = stack.use(await netns.hold());
        return [netns.path, `/proc/${process.pid}/ns/net`];
      },
      nothing: "/run/netns/there-is-none",
      notNamespace: "/etc/passwd",
    },
    pods: {
      async add(pod) {
        const uid = randomUUID();
        const { container } = await addPod(pod, uid, 0);
        return { uid, containerId: container.id };
      },
      async replaceSandbox(pod) {
        await stopPod(pod);
        const { uid, attempt } = at(pod);
        await addPod(pod, uid, attempt + 1);
      },
      stop: stopPod,
      async remove(pod) {
        const { container, sandbox } = at(pod);
        await container.remove();
        await sandbox.remove();
      },
    },
    containers: {
      async add(networkMode) {
        const container = await docker.run(`plain-${containers.size}`, { networkMode });
        containers.set(container.id, container);
        return container;
      },
      stop: (id) => found(containers, id).stop(),
      restart: (id) => found(containers, id).start(),
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function found<T>(all: ReadonlyMap<string, T>, key: string): T {
  const value = all.get(key);
  if (value === undefined) throw new Error(`the test made no ${key}`);
  return value;
}

describe("a namespace", () => {
  namespaceLocatorContract(makeWorld);
});
describe("a pod of cri-dockerd", () => {
  podLocatorContract(makeWorld);
});
describe("a plain container", () => {
  containerLocatorContract(makeWorld);
});

test("Docker is found where no other runtime listens", async () => {
  using locator = createAutoLocator({
    ...locatorOptions(),
    criSocketPaths: ["/run/there-is-none.sock"],
    dockerSocketPath: docker.socketPath,
  });
  expect(await locator.describe(signal)).toMatch(/^docker \d+\.\d+\.\d+/);
});
