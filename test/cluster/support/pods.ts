import { type Cluster, eventually, run } from "./cluster.ts";

/** A pod as the API server shows it, as far as tests look at it. */
export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
    readonly containerStatuses?: readonly {
      readonly name: string;
      /** `containerd://ID` */
      readonly containerID?: string;
      readonly restartCount: number;
      readonly state: { readonly running?: { readonly startedAt: string } };
    }[];
  };
}

/** A pod's network namespace on the node. */
export interface PodSandbox {
  readonly id: string;
  /** `/var/run/netns/cni-…` */
  readonly netnsPath: string;
  /** Runs a program of the node in the pod's network namespace. */
  run(program: string, ...args: readonly string[]): Promise<string>;
}

interface PodTemplate {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Of busybox; sleeps by default. */
  readonly command?: readonly string[];
  readonly ports?: readonly { readonly containerPort: number; readonly hostPort?: number }[];
}

const sleep = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"];

/** Metadata and specification of a pod of one busybox container named `main`, on an image the node has. */
function podTemplate({ annotations = {}, labels = {}, command = sleep, ports = [] }: PodTemplate) {
  const image = { image: "cluster.local/busybox:1", imagePullPolicy: "Never" };
  return {
    metadata: { annotations, labels },
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: "main", ...image, command, ports }] },
  };
}

export function podManifest(namespace: string, name: string, template: PodTemplate = {}) {
  const { metadata, spec } = podTemplate(template);
  return { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, namespace, name }, spec };
}

export function deploymentManifest(
  namespace: string,
  name: string,
  replicas: number,
  template: PodTemplate = {},
) {
  const matchLabels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace, name },
    spec: {
      replicas,
      selector: { matchLabels },
      template: podTemplate({ ...template, labels: { ...template.labels, ...matchLabels } }),
    },
  };
}

/** The pods with a label, once there are `count` of them, all Ready, with addresses. */
export async function readyPods(
  cluster: Cluster,
  namespace: string,
  labels: string,
  count: number,
): Promise<readonly Pod[]> {
  return eventually(`${count} ready pods ${labels} in ${namespace}`, async () => {
    const { items } = await cluster.kubectlJson<{ readonly items: readonly Pod[] }>(
      "-n",
      namespace,
      "get",
      "pods",
      "-l",
      labels,
    );
    const ready = items.filter(isReady);
    return ready.length === count && items.length === count ? ready : undefined;
  });
}

export async function readyPod(cluster: Cluster, namespace: string, name: string): Promise<Pod> {
  return eventually(`ready pod ${namespace}/${name}`, async () => {
    const pod = await cluster.kubectlJson<Pod>("-n", namespace, "get", "pod", name);
    return isReady(pod) ? pod : undefined;
  });
}

/** Runs a command in the pod's container, through the API server and the kubelet. */
export function podExec(cluster: Cluster, { metadata }: Pod, ...command: readonly string[]): Promise<string> {
  return cluster.kubectl("-n", metadata.namespace, "exec", metadata.name, "--", ...command);
}

function isReady({ metadata, status }: Pod): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    status.podIP !== undefined &&
    (status.conditions ?? []).some((condition) => condition.type === "Ready" && condition.status === "True")
  );
}

interface ContainerInfo {
  readonly Spec: {
    readonly linux: {
      readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    };
  };
}

/**
 * The sandbox of a pod with a running container, as containerd knows it:
 * a way around podplug's own, to judge it by.
 */
export async function podSandbox(pod: Pod): Promise<PodSandbox> {
  const uid = pod.metadata.uid;
  const filter = `labels."io.kubernetes.pod.uid"==${uid},labels."io.cri-containerd.kind"==sandbox`;
  const ids = (await run("ctr", ["-n", "k8s.io", "containers", "list", "-q", filter])).trim().split("\n");
  const running = new Set(
    (await run("ctr", ["-n", "k8s.io", "tasks", "list"]))
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , status]) => status === "RUNNING")
      .map(([id]) => id),
  );
  const id = ids.find((candidate) => running.has(candidate));
  if (id === undefined) throw new Error(`no running sandbox of pod ${pod.metadata.name} among ${ids.join()}`);
  const info = JSON.parse(await run("ctr", ["-n", "k8s.io", "containers", "info", id])) as ContainerInfo;
  const netnsPath = info.Spec.linux.namespaces.find(({ type }) => type === "network")?.path;
  if (netnsPath === undefined) throw new Error(`sandbox ${id} names no network namespace`);
  return {
    id,
    netnsPath,
    run: (program, ...args) => run("nsenter", [`--net=${netnsPath}`, "--", program, ...args]),
  };
}
