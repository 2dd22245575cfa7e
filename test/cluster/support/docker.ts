import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import type { PodRef } from "../../../src/domain/target.ts";
import { type Cluster, eventually, run } from "./cluster.ts";

/** A Docker engine on the node, on the cluster's containerd and runc. */
export interface DockerEngine extends AsyncDisposable {
  readonly socketPath: string;
  /** Runs busybox, asleep. */
  run(name: string, options?: RunOptions): Promise<DockerContainer>;
  /** A sandbox and an application container in its network, made as cri-dockerd makes them of a pod. */
  runPod(pod: PodRef & { readonly uid: string }, attempt?: number): Promise<DockerPod>;
  /** Removes every container, running or not. */
  clear(): Promise<void>;
}

interface RunOptions {
  /** `none` by default; `bridge`, `host`, `container:ID`. */
  readonly networkMode?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface DockerPod {
  readonly sandbox: DockerContainer;
  readonly container: DockerContainer;
}

export interface DockerContainer {
  readonly id: string;
  readonly name: string;
  /** Of its process. Another one after a restart. */
  life(): Promise<DockerLife>;
  /** Runs a command in it, as `docker exec` does, and answers what it wrote. @throws when it fails */
  exec(...command: readonly string[]): Promise<string>;
  /** Runs a program of the node in its network namespace. */
  onNode(program: string, ...args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

interface DockerLife {
  readonly pid: number;
  readonly startedAt: string;
  readonly restartCount: number;
}

/** Ends when disposed of, with its containers; at the latest with the cluster. */
export async function startDocker(cluster: Cluster): Promise<DockerEngine> {
  const folder = await cluster.makeFolder();
  const socketPath = join(folder, "docker.sock");
  // What isn't said here would be read from /etc and kept in /var, which are the machine's.
  const configFile = join(folder, "daemon.json");
  await writeFile(
    configFile,
    JSON.stringify({
      hosts: [`unix://${socketPath}`],
      "data-root": join(folder, "data"),
      "exec-root": join(folder, "exec"),
      pidfile: join(folder, "docker.pid"),
      containerd: cluster.criSocketPath,
      "cgroup-parent": `${await cluster.cgroup()}/docker`,
      bip: "10.248.0.1/24",
      iptables: false,
      ip6tables: false,
      "userland-proxy": false,
      // Debian 12's runc knows none.
      features: { "time-namespaces": false },
    }),
  );
  await using cleanup = new AsyncDisposableStack();
  const log = await open(join(cluster.logFolder, "dockerd.log"), "w");
  cleanup.defer(() => log.close());
  const daemon = spawn("dockerd", ["--config-file", configFile], { stdio: ["ignore", log.fd, log.fd] });
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  daemon.once("close", () => resolve()).once("error", () => resolve());
  cleanup.defer(async () => {
    daemon.kill("SIGTERM");
    await ended;
  });

  const docker = new Docker({ socketPath });
  await eventually("Docker answers", () => docker.ping());
  await finished(docker, await docker.loadImage(createReadStream(cluster.imagesPath)));
  cleanup.defer(clear);

  async function clear(): Promise<void> {
    const all = await docker.listContainers({ all: true });
    await Promise.all(all.map(({ Id }) => docker.getContainer(Id).remove({ force: true })));
  }

  async function make(name: string, { networkMode = "none", labels = {} }: RunOptions = {}) {
    const made = await docker.createContainer({
      name,
      Image: "cluster.local/busybox:1",
      Entrypoint: ["/bin/sleep", "2147483647"],
      Labels: { ...labels },
      HostConfig: { NetworkMode: networkMode },
    });
    await made.start();
    return containerOf(docker, made.id, name);
  }

  const held = cleanup.move();
  return {
    socketPath,
    run: make,
    async runPod({ namespace, name, uid }, attempt = 0) {
      const labels = {
        "io.kubernetes.pod.namespace": namespace,
        "io.kubernetes.pod.name": name,
        "io.kubernetes.pod.uid": uid,
      };
      const nameOf = (container: string) => `k8s_${container}_${name}_${namespace}_${uid}_${attempt}`;
      const sandbox = await make(nameOf("POD"), {
        labels: {
          ...labels,
          "io.kubernetes.docker.type": "podsandbox",
          "io.kubernetes.container.name": "POD",
        },
      });
      const container = await make(nameOf("main"), {
        labels: {
          ...labels,
          "io.kubernetes.docker.type": "container",
          "io.kubernetes.container.name": "main",
          "io.kubernetes.sandbox.id": sandbox.id,
        },
        networkMode: `container:${sandbox.id}`,
      });
      return { sandbox, container };
    },
    clear,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

function containerOf(docker: Docker, id: string, name: string): DockerContainer {
  const container = docker.getContainer(id);
  async function life(): Promise<DockerLife> {
    const { State, RestartCount } = await container.inspect();
    return { pid: State.Pid, startedAt: State.StartedAt, restartCount: RestartCount };
  }
  return {
    id,
    name,
    life,
    async exec(...command) {
      // A terminal's output comes as it is, without frames around it.
      const started = await container.exec({ Cmd: [...command], AttachStdout: true, Tty: true });
      const chunks: Buffer[] = [];
      for await (const chunk of await started.start({ Tty: true })) chunks.push(chunk as Buffer);
      const output = Buffer.concat(chunks).toString().replaceAll("\r\n", "\n");
      const { ExitCode } = await started.inspect();
      if (ExitCode !== 0) throw new Error(`${command.join(" ")}: exit code ${ExitCode}: ${output}`);
      return output;
    },
    onNode: async (program, ...args) =>
      await run("nsenter", [`--net=/proc/${(await life()).pid}/ns/net`, "--", program, ...args]),
    stop: async () => void (await container.stop({ t: 0 })),
    start: async () => void (await container.start()),
    remove: async () => void (await container.remove({ force: true })),
  };
}

function finished(docker: Docker, progress: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()));
  });
}
