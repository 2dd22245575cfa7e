import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  clone,
  create,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import {
  ContainerSchema,
  NamespaceMode,
  type PodSandbox,
  PodSandboxSchema,
  PodSandboxState,
  type PodSandboxStatusResponse,
  PodSandboxStatusResponseSchema,
  RuntimeService,
} from "../../gen/runtime/v1/api_pb.ts";
import type { PodRef } from "../../src/domain/target.ts";
import { recordedStatus } from "../support/recorded-runtime.ts";
import type { FakeInterfaces } from "./fake-interfaces.ts";

/** Whose answers it gives, with other pods in them. */
export type CriFlavour = "containerd" | "cri-o";

export interface FakeCriPodOptions {
  readonly uid?: string;
  readonly hostNetwork?: boolean;
  readonly runtimeHandler?: string;
  /** Where the sandbox's namespace is; made up when absent. */
  readonly netnsPath?: string;
}

/** A container runtime on a Unix socket of its own, with its sandboxes' namespaces in a fake kernel, as a rule. */
export interface FakeCriRuntime extends AsyncDisposable {
  readonly socketPath: string;
  /** A sandbox with its namespace, beside those that the pod has already. */
  addPod(ref: PodRef, options?: FakeCriPodOptions): FakeCriPod;
  /** Another sandbox for the pod; the old one is stopped, its namespace gone. */
  replaceSandbox(ref: PodRef): FakeCriPod;
  stopPod(ref: PodRef): void;
  removePod(ref: PodRef): void;
  /** Changes what a verbose status holds under the key `info`; a string that isn't JSON too. */
  rewriteInfo(rewrite: (info: string) => string): void;
  /** How often each method was called since the last ask, by name. */
  takeCalls(): Readonly<Record<string, number>>;
  /** Fails every call with it, until cleared. */
  failWith(code: grpc.status | undefined): void;
  /** Answers with what isn't the message. */
  answerGarbage(): void;
  /** Takes calls and says nothing, until cleared. */
  hang(hanging: boolean): void;
  /** Answers each call so late. */
  delay(ms: number): void;
  /** How many calls have waited for such an answer at once, at the most. */
  readonly mostWaiting: number;
  /** Fails every status of the pod's sandboxes with the code, or says nothing of them, until cleared. */
  troubleStatusOf(ref: PodRef, trouble: grpc.status | "silence" | undefined): void;
  /** The socket is gone, with every connection. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

/** Where its sandboxes' namespaces come and go. */
export type SandboxNamespaces = Pick<FakeInterfaces, "addNetns" | "hasNetns" | "removePath">;

export interface FakeCriPod {
  readonly uid: string;
  readonly sandboxId: string;
  readonly containerId: string;
  readonly netnsPath: string;
}

interface Sandbox extends FakeCriPod {
  readonly ref: PodRef;
  readonly options: FakeCriPodOptions;
  readonly answer: PodSandboxStatusResponse;
}

const recordings = {
  containerd: { file: "containerd-2.1-sandbox", name: "containerd", version: "2.1.9+unknown" },
  "cri-o": { file: "crio-1.36-sandbox", name: "cri-o", version: "1.36.3" },
};

export async function startFakeCriRuntime(
  interfaces: SandboxNamespaces,
  flavour: CriFlavour = "containerd",
  runtimeName: string = recordings[flavour].name,
): Promise<FakeCriRuntime> {
  const directory = await mkdtemp(join(tmpdir(), "podplug-cri-"));
  const socketPath = join(directory, "cri.sock");
  const recording = recordedStatus(recordings[flavour].file);
  const sandboxes = new Map<string, Sandbox>();
  const calls = new Map<string, number>();
  const troubles = new Map<string, grpc.status | "silence">();
  let server: grpc.Server | undefined;
  let made = 0;
  let failure: grpc.status | undefined;
  let garbage = false;
  let hanging = false;
  let delayMs = 0;
  let waiting = 0;
  let mostWaiting = 0;
  let rewriteInfo = (info: string): string => info;

  function start(ref: PodRef, options: FakeCriPodOptions): Sandbox {
    made += 1;
    const sandboxId = made.toString(16).padStart(64, "0");
    const containerId = made.toString(16).padStart(64, "c");
    const uid = ref.uid ?? options.uid ?? `uid-${made}`;
    const netnsPath = options.netnsPath ?? `/run/netns/cni-${made}`;
    const hostNetwork = options.hostNetwork ?? false;
    if (!hostNetwork) interfaces.addNetns(netnsPath);
    const answer = clone(PodSandboxStatusResponseSchema, recording);
    Object.assign(answer.status!, {
      id: sandboxId,
      metadata: { ...answer.status!.metadata, namespace: ref.namespace, name: ref.name, uid },
      createdAt: BigInt(made),
      runtimeHandler: options.runtimeHandler ?? "",
      labels: {
        ...answer.status!.labels,
        "io.kubernetes.pod.namespace": ref.namespace,
        "io.kubernetes.pod.name": ref.name,
        "io.kubernetes.pod.uid": uid,
      },
    });
    answer.status!.linux!.namespaces!.options!.network = hostNetwork ? NamespaceMode.NODE : NamespaceMode.POD;
    const info = JSON.parse(answer.info["info"]!);
    info.runtimeSpec.linux.namespaces = info.runtimeSpec.linux.namespaces.flatMap(
      (namespace: { type: string }) => {
        if (namespace.type !== "network") return [namespace];
        return hostNetwork ? [] : [{ type: "network", path: netnsPath }];
      },
    );
    answer.info["info"] = JSON.stringify(info);
    const sandbox = { ref: { ...ref, uid }, options, uid, sandboxId, containerId, netnsPath, answer };
    sandboxes.set(sandboxId, sandbox);
    return sandbox;
  }

  function stop({ netnsPath, answer }: Sandbox): void {
    answer.status!.state = PodSandboxState.SANDBOX_NOTREADY;
    if (interfaces.hasNetns(netnsPath)) interfaces.removePath(netnsPath);
  }

  function ofPod({ namespace, name }: PodRef): readonly Sandbox[] {
    const own = [...sandboxes.values()].filter(({ ref }) => ref.namespace === namespace && ref.name === name);
    if (own.length === 0) throw new Error(`the test has no pod ${namespace}/${name}`);
    return own;
  }

  function listed({ answer }: Sandbox): PodSandbox {
    const { $typeName: _, ...status } = answer.status!;
    return create(PodSandboxSchema, status);
  }

  function handle<M extends DescMethodUnary>(
    method: M,
    answer: (request: MessageShape<M["input"]>) => MessageInitShape<M["output"]> | undefined,
    troubleOf: (request: MessageShape<M["input"]>) => grpc.status | "silence" | undefined = () => undefined,
  ): [grpc.ServiceDefinition, grpc.UntypedServiceImplementation] {
    const definition: grpc.MethodDefinition<unknown, unknown> = {
      path: `/${method.parent.typeName}/${method.name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes) => fromBinary(method.input, bytes),
      responseSerialize: (message) =>
        garbage
          ? Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x7f])
          : Buffer.from(
              toBinary(method.output, create(method.output, message as MessageInitShape<M["output"]>)),
            ),
      responseDeserialize: () => undefined,
    };
    const implementation: grpc.handleUnaryCall<MessageShape<M["input"]>, object> = (call, callback) => {
      calls.set(method.name, (calls.get(method.name) ?? 0) + 1);
      const trouble = failure ?? troubleOf(call.request);
      if (hanging || trouble === "silence") return;
      if (trouble !== undefined) {
        callback({ code: trouble, details: "the test says so" });
        return;
      }
      waiting += 1;
      mostWaiting = Math.max(mostWaiting, waiting);
      setTimeout(() => {
        waiting -= 1;
        const found = answer(call.request);
        if (found) callback(null, found);
        else callback({ code: grpc.status.NOT_FOUND, details: "not found" });
      }, delayMs);
    };
    return [{ [method.name]: definition }, { [method.name]: implementation }];
  }

  const { version, listPodSandbox, podSandboxStatus, listContainers } = RuntimeService.method;
  const handlers = [
    handle(version, () => ({
      version: "0.1.0",
      runtimeName,
      runtimeVersion: recordings[flavour].version,
      runtimeApiVersion: "v1",
    })),
    handle(listPodSandbox, ({ filter }) => ({
      items: [...sandboxes.values()].map(listed).filter((sandbox) => {
        if (filter?.id && sandbox.id !== filter.id) return false;
        if (filter?.state && sandbox.state !== filter.state.state) return false;
        return Object.entries(filter?.labelSelector ?? {}).every(
          ([label, value]) => sandbox.labels[label] === value,
        );
      }),
    })),
    handle(
      podSandboxStatus,
      ({ podSandboxId, verbose }) => {
        const answer = sandboxes.get(podSandboxId)?.answer;
        if (!answer) return undefined;
        return { ...answer, info: verbose ? { info: rewriteInfo(answer.info["info"]!) } : {} };
      },
      ({ podSandboxId }) => troubles.get(podSandboxId),
    ),
    handle(listContainers, ({ filter }) => ({
      containers: [...sandboxes.values()]
        .filter(({ containerId }) => !filter?.id || containerId === filter.id)
        .map(({ containerId, sandboxId }) =>
          create(ContainerSchema, { id: containerId, podSandboxId: sandboxId }),
        ),
    })),
  ];

  async function listen(): Promise<void> {
    server = new grpc.Server();
    for (const [definition, implementation] of handlers) server.addService(definition, implementation);
    await promisify(server.bindAsync.bind(server))(
      `unix:${socketPath}`,
      grpc.ServerCredentials.createInsecure(),
    );
  }

  await listen();
  return {
    socketPath,
    addPod: (ref, options = {}) => start(ref, options),
    replaceSandbox(ref) {
      const own = ofPod(ref);
      for (const sandbox of own) stop(sandbox);
      const last = own.at(-1)!;
      return start(last.ref, last.options);
    },
    stopPod(ref) {
      for (const sandbox of ofPod(ref)) stop(sandbox);
    },
    removePod(ref) {
      for (const sandbox of ofPod(ref)) {
        stop(sandbox);
        sandboxes.delete(sandbox.sandboxId);
      }
    },
    rewriteInfo(rewrite) {
      rewriteInfo = rewrite;
    },
    takeCalls() {
      const taken = Object.fromEntries(calls);
      calls.clear();
      return taken;
    },
    failWith(code) {
      failure = code;
    },
    answerGarbage() {
      garbage = true;
    },
    hang(yes) {
      hanging = yes;
    },
    delay(ms) {
      delayMs = ms;
    },
    get mostWaiting() {
      return mostWaiting;
    },
    troubleStatusOf(ref, trouble) {
      for (const { sandboxId } of ofPod(ref)) {
        if (trouble === undefined) troubles.delete(sandboxId);
        else troubles.set(sandboxId, trouble);
      }
    },
    async goAway() {
      server?.forceShutdown();
      server = undefined;
      await rm(socketPath, { force: true });
    },
    comeBack: listen,
    async [Symbol.asyncDispose]() {
      server?.forceShutdown();
      await rm(directory, { recursive: true });
    },
  };
}
