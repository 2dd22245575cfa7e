import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PodRef } from "../../src/domain/target.ts";
import { recorded } from "../support/recorded-runtime.ts";
import type { FakeInterfaces } from "./fake-interfaces.ts";

export interface FakeDockerContainer {
  readonly id: string;
  readonly name: string;
  /** The path under which Docker keeps its namespace; empty in another's network. */
  readonly netnsPath: string;
  readonly pid: number;
}

interface FakeDockerOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly networkMode?: string;
  readonly runtime?: string;
}

/** A Docker on a Unix socket of its own, as cri-dockerd uses it or alone. */
export interface FakeDocker extends AsyncDisposable {
  readonly socketPath: string;
  /** Runs a container. */
  add(name: string, options?: FakeDockerOptions): FakeDockerContainer;
  /** What cri-dockerd makes of a pod: a sandbox and an application container in its network. */
  addPod(ref: PodRef): { readonly uid: string; readonly sandboxId: string; readonly containerId: string };
  replaceSandbox(ref: PodRef): void;
  stopPod(ref: PodRef): void;
  removePod(ref: PodRef): void;
  stop(id: string): void;
  /** The same container, in a new namespace. */
  restart(id: string): void;
  /** How often each path was asked for since the last ask, IDs left out. */
  takeCalls(): Readonly<Record<string, number>>;
  /** Answers everything itself, until cleared. */
  answerWith(answer: ((response: ServerResponse) => void) | undefined): void;
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

interface Container {
  readonly id: string;
  readonly name: string;
  readonly ordinal: number;
  readonly pid: number;
  readonly options: FakeDockerOptions;
  running: boolean;
  netnsPath: string;
}

interface Inspected {
  State: object;
  Config: object;
  HostConfig: object;
  NetworkSettings: object;
}

export async function startFakeDocker(interfaces: FakeInterfaces): Promise<FakeDocker> {
  const directory = await mkdtemp(join(tmpdir(), "podplug-docker-"));
  const socketPath = join(directory, "docker.sock");
  const recording = recorded("docker-28.5-none-network") as unknown as Inspected;
  const containers = new Map<string, Container>();
  const calls = new Map<string, number>();
  let server: Server | undefined;
  let made = 0;
  let override: ((response: ServerResponse) => void) | undefined;

  function run(container: Container): void {
    container.running = true;
    const mode = container.options.networkMode ?? "none";
    if (mode === "host" || mode.startsWith("container:")) return;
    made += 1;
    container.netnsPath = `/run/docker/netns/${made}`;
    interfaces.addNetns(container.netnsPath);
  }

  function stop(container: Container): void {
    container.running = false;
    if (container.netnsPath && interfaces.hasNetns(container.netnsPath)) {
      interfaces.removePath(container.netnsPath);
    }
    container.netnsPath = "";
  }

  function add(name: string, options: FakeDockerOptions = {}): Container {
    made += 1;
    const id = made.toString(16).padStart(64, "d");
    const container = { id, name, ordinal: made, pid: 100_000 + made, options, running: true, netnsPath: "" };
    containers.set(id, container);
    run(container);
    return container;
  }

  function at(id: string): Container {
    const container = containers.get(id);
    if (!container) throw new Error(`the test has no container ${id}`);
    return container;
  }

  function addPod(ref: PodRef & { readonly uid: string }): ReturnType<FakeDocker["addPod"]> {
    const labels = {
      "io.kubernetes.pod.namespace": ref.namespace,
      "io.kubernetes.pod.name": ref.name,
      "io.kubernetes.pod.uid": ref.uid,
    };
    const sandbox = add(`k8s_POD_${ref.name}_${made}`, {
      labels: { ...labels, "io.kubernetes.docker.type": "podsandbox" },
    });
    const container = add(`k8s_c_${ref.name}_${made}`, {
      labels: {
        ...labels,
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.sandbox.id": sandbox.id,
      },
      networkMode: `container:${sandbox.id}`,
    });
    return { uid: ref.uid, sandboxId: sandbox.id, containerId: container.id };
  }

  function ofPod({ namespace, name }: PodRef): readonly Container[] {
    return [...containers.values()].filter(
      ({ options: { labels } }) =>
        labels?.["io.kubernetes.pod.namespace"] === namespace && labels["io.kubernetes.pod.name"] === name,
    );
  }

  function inspected({ id, name, ordinal, pid, options, running, netnsPath }: Container): object {
    return {
      ...recording,
      Id: id,
      Name: `/${name}`,
      Created: new Date(ordinal * 1000).toISOString(),
      State: { ...recording.State, Running: running, Pid: running ? pid : 0 },
      Config: { ...recording.Config, Labels: options.labels ?? {} },
      HostConfig: {
        ...recording.HostConfig,
        NetworkMode: options.networkMode ?? "none",
        Runtime: options.runtime ?? "runc",
      },
      NetworkSettings: { ...recording.NetworkSettings, SandboxKey: netnsPath },
    };
  }

  function summary({ id, name, ordinal, options, running }: Container): object {
    return {
      Id: id,
      Names: [`/${name}`],
      Created: ordinal,
      State: running ? "running" : "exited",
      Labels: options.labels ?? {},
      HostConfig: { NetworkMode: options.networkMode ?? "none" },
    };
  }

  function list(query: URLSearchParams): readonly object[] {
    const { label = [] } = JSON.parse(query.get("filters") ?? "{}") as { label?: string[] };
    return [...containers.values()]
      .filter(({ running }) => running || query.get("all") === "true")
      .filter(({ options: { labels = {} } }) =>
        label.every((each) => labels[each.split("=", 1)[0]!] === each.slice(each.indexOf("=") + 1)),
      )
      .map(summary);
  }

  function answer(url: URL): object | undefined {
    if (url.pathname === "/version") return { Version: "28.5.2+dfsg4" };
    if (url.pathname === "/containers/json") return list(url.searchParams);
    const [, idOrName = ""] = /^\/containers\/([^/]+)\/json$/.exec(url.pathname) ?? [];
    const found = containers.values().find(({ id, name }) => id === idOrName || name === idOrName);
    return found && inspected(found);
  }

  async function listen(): Promise<void> {
    server = createServer((request, response) => {
      const url = new URL(request.url ?? "", "http://docker");
      const path = url.pathname.replace(/\/containers\/[^/]+\//, "/containers/ID/");
      calls.set(path, (calls.get(path) ?? 0) + 1);
      if (override) {
        override(response);
        return;
      }
      const body = answer(url);
      response.statusCode = body ? 200 : 404;
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify(body ?? { message: "No such container" }));
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(socketPath, resolve);
    await promise;
  }

  async function close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    server?.close(resolve);
    server?.closeAllConnections();
    await promise;
  }

  await listen();
  return {
    socketPath,
    add,
    addPod: (ref) => addPod({ ...ref, uid: ref.uid ?? `uid-${made + 1}` }),
    replaceSandbox(ref) {
      const own = ofPod(ref);
      for (const container of own) stop(container);
      addPod({ ...ref, uid: own[0]?.options.labels?.["io.kubernetes.pod.uid"] ?? "" });
    },
    stopPod(ref) {
      for (const container of ofPod(ref)) stop(container);
    },
    removePod(ref) {
      for (const container of ofPod(ref)) {
        stop(container);
        containers.delete(container.id);
      }
    },
    stop: (id) => stop(at(id)),
    restart(id) {
      stop(at(id));
      run(at(id));
    },
    takeCalls() {
      const taken = Object.fromEntries(calls);
      calls.clear();
      return taken;
    },
    answerWith(given) {
      override = given;
    },
    goAway: close,
    comeBack: listen,
    async [Symbol.asyncDispose]() {
      if (server?.listening) await close();
      await rm(directory, { recursive: true });
    },
  };
}
