import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { systemClock } from "../../src/domain/clock.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import { createKubeAccess } from "../../src/kube/access.ts";
import { type ApiClient, createApiClient } from "../../src/kube/api-client.ts";
import { type DataObjects, networkStatusAnnotation } from "../../src/kube/contract.ts";
import { createDataObjects } from "../../src/kube/data-objects.ts";
import { createDefinitionReader } from "../../src/kube/definition-reader.ts";
import { createEventRecorder } from "../../src/kube/event-recorder.ts";
import { createOwnWrites } from "../../src/kube/own-writes.ts";
import { startPodFeed } from "../../src/kube/pod-feed.ts";
import { createReviewer } from "../../src/kube/reviewer.ts";
import { createPodStatusWriter } from "../../src/kube/status-writer.ts";
import { failure } from "../support/failure.ts";
import { createRecordingLog } from "../support/recording-log.ts";
import { eventually, type TestNamespace, useCluster } from "./support/cluster.ts";
import { renderKustomization } from "./support/manifests.ts";
import { type Pod, podManifest } from "./support/pods.ts";

/*
 * Each right that deploy/kubernetes gives an account of podplug's, and what
 * can't be done without it, tried on the API server with all the others.
 */

const cluster = useCluster();
const cleanup = new AsyncDisposableStack();
let namespace: TestNamespace;

interface Use {
  readonly client: ApiClient;
  /** One that is there. */
  readonly pod: Pod["metadata"] & { readonly resourceVersion: string };
}

/** What needs the right; it rejects with what the API server says. */
const uses: Readonly<Record<string, (use: Use) => Promise<unknown>>> = {
  "list pods": ({ client }) => follow(client),
  "watch pods": ({ client }) => follow(client),
  // The pod isn't as it was known: it is read anew.
  "get pods": (use) => writeStatus(use, "what it never was"),
  "patch pods/status": (use) => writeStatus(use, use.pod.annotations?.[networkStatusAnnotation]),
  "create events": (use) => tellEvent(use, 1),
  "patch events": (use) => tellEvent(use, 2),
  "get network-attachment-definitions.k8s.cni.cncf.io": ({ client }) =>
    createDefinitionReader({ client }).netAttachDef(namespace.name, "none", signal),
  "get networks.kaloom.com": ({ client }) =>
    createDefinitionReader({ client }).kaloomNetwork(namespace.name, "none", signal),
  "create tokenreviews.authentication.k8s.io": ({ client }) =>
    createReviewer({ client }).whoIs("nobody's", ["podplug"], signal),
  "create subjectaccessreviews.authorization.k8s.io": ({ client }) =>
    createReviewer({ client }).may(
      { name: "somebody", groups: [], extra: {} },
      { verb: "get", path: "/metrics" },
      signal,
    ),
  "get secrets": ({ client }) => dataObjects(client, "Secret").read("podplug-ca", signal),
  "patch secrets": ({ client }) => writeAgain(dataObjects(client, "Secret")),
  "get configmaps": ({ client }) => dataObjects(client, "ConfigMap").read("podplug-ca", signal),
  "patch configmaps": ({ client }) => writeAgain(dataObjects(client, "ConfigMap")),
};
/** Shown with the certificate that is for it, in certificates.test.ts. */
const shownElsewhere = ["get /metrics"];

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}
interface Role {
  readonly kind: string;
  readonly rules?: readonly Rule[];
}

const right = (verb: string, resource: string, group: string): string =>
  `${verb} ${resource}${group === "" ? "" : `.${group}`}`;

interface Shipped {
  readonly right: string;
  /** None for a path, which is shown elsewhere. */
  readonly rule: Rule | undefined;
  readonly kind: string;
}

/** One rule for each right, for the same names as there. */
const shipped: readonly Shipped[] = parseAllDocuments(
  await renderKustomization(cluster, "base", ["kaloom", "tls", "certificates", "monitoring"]),
)
  .map((document) => document.toJS() as Role)
  .filter(({ kind }) => kind === "ClusterRole" || kind === "Role")
  .flatMap(({ kind, rules = [] }) => rules.map((rule) => ({ kind, ...rule })))
  .flatMap(({ kind, apiGroups = [], resources = [], resourceNames, nonResourceURLs = [], verbs }) =>
    verbs.flatMap((verb) => [
      ...apiGroups.flatMap((group) =>
        resources.map((resource) => ({
          right: right(verb, resource, group),
          rule: {
            apiGroups: [group],
            resources: [resource],
            verbs: [verb],
            ...(resourceNames && { resourceNames }),
          },
          kind,
        })),
      ),
      ...nonResourceURLs.map((url) => ({ right: `${verb} ${url}`, rule: undefined, kind })),
    ]),
  );

beforeAll(async () => {
  namespace = cleanup.use(await cluster.makeNamespace());
  const metadata = { namespace: namespace.name, name: "podplug-ca" };
  await cluster.apply(
    podManifest(namespace.name, "web"),
    { apiVersion: "v1", kind: "Secret", metadata },
    { apiVersion: "v1", kind: "ConfigMap", metadata },
  );
});
afterAll(() => cleanup.disposeAsync());

test("every right that is given is looked at here", () => {
  const given = shipped.map((each) => each.right);
  expect(given.toSorted()).toEqual([...Object.keys(uses), ...shownElsewhere].toSorted());
});

test.each(Object.entries(uses))(
  "who has all rights but to %s can't do what needs it",
  async (lacking, use) => {
    // A role holds from a moment later on.
    await using whole = await clientWith(() => true);
    await eventually("with all rights it is done", async () => {
      await use({ client: whole.client, pod: await webPod() });
      return true;
    });
    await using reduced = await clientWith((each) => each !== lacking);
    const [verb, resource] = lacking.split(/[ .]/);
    await eventually(`it is refused for want of ${lacking}`, async () => {
      const refused = use({ client: reduced.client, pod: await webPod() });
      await expect(refused).rejects.toEqual(
        failure("PRIVILEGE_MISSING", `cannot ${verb} resource "${resource}"`),
      );
      return true;
    });
  },
);

async function webPod(): Promise<Use["pod"]> {
  const { metadata } = await cluster.kubectlJson<{ readonly metadata: Use["pod"] }>(
    "-n",
    namespace.name,
    "get",
    "pod",
    "web",
  );
  return metadata;
}

let accounts = 0;

/** As a new account with those of the shipped rights: a Role's in one namespace alone. */
async function clientWith(
  isGiven: (right: string) => boolean,
): Promise<AsyncDisposable & { readonly client: ApiClient }> {
  accounts += 1;
  const name = `${namespace.name}-${accounts}`;
  const account = { name, namespace: namespace.name };
  const group = "rbac.authorization.k8s.io";
  await cluster.apply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata: account },
    ...[
      { kind: "ClusterRole", metadata: { name } },
      { kind: "Role", metadata: account },
    ].flatMap(({ kind, metadata }) => [
      {
        apiVersion: `${group}/v1`,
        kind,
        metadata,
        rules: shipped
          .filter((each) => each.kind === kind && isGiven(each.right))
          .flatMap(({ rule }) => rule ?? []),
      },
      {
        apiVersion: `${group}/v1`,
        kind: `${kind}Binding`,
        metadata,
        roleRef: { apiGroup: group, kind, name },
        subjects: [{ kind: "ServiceAccount", ...account }],
      },
    ]),
  );
  const { path } = await cluster.kubeconfigOf(namespace.name, name);
  const access = await createKubeAccess({ kind: "kubeconfig", path });
  return {
    client: createApiClient({ access, clock: systemClock }),
    async [Symbol.asyncDispose]() {
      access[Symbol.dispose]();
      await cluster.kubectl("delete", "clusterrole,clusterrolebinding", name);
    },
  };
}

/** Resolves once a pod is told that came after the list. */
async function follow(client: ApiClient): Promise<void> {
  const log = createRecordingLog();
  const nothing = { annotations: [], ownWrites: createOwnWrites() };
  await using pods = startPodFeed({
    client,
    nodeName: cluster.nodeName,
    ...nothing,
    clock: systemClock,
    log,
  });
  const name = `pod-${randomUUID()}`;
  await refusedOr(log, () => pods.isSynced());
  await cluster.apply(podManifest(namespace.name, name));
  await refusedOr(log, () => pods.get(`${namespace.name}/${name}`) !== undefined);
}

async function writeStatus({ client, pod }: Use, before: string | undefined): Promise<void> {
  const writer = createPodStatusWriter({ client, ownWrites: createOwnWrites() });
  await writer.write({ pod, before, text: JSON.stringify([{ name: randomUUID() }]) }, signal);
}

function dataObjects(client: ApiClient, kind: "Secret" | "ConfigMap"): DataObjects {
  return createDataObjects({ client, namespace: namespace.name, kind });
}

async function writeAgain(objects: DataObjects): Promise<void> {
  await objects.write("podplug-ca", { any: "text" }, await objects.read("podplug-ca", signal), signal);
}

/** Resolves once the event is there, `times` over. */
async function tellEvent({ client, pod }: Use, times: number): Promise<void> {
  const log = createRecordingLog();
  let later = 0;
  const clock = { ...systemClock, steadyMs: () => systemClock.steadyMs() + later };
  await using recorder = createEventRecorder({ client, nodeName: cluster.nodeName, clock, log, settleMs: 0 });
  const message = randomUUID();
  for (let time = 1; time <= times; time += 1) {
    recorder.record(pod, { type: "Normal", reason: "AddedInterface", message });
    await refusedOr(log, async () => {
      const { items } = await cluster.kubectlJson<{
        readonly items: readonly { readonly message: string; readonly count: number }[];
      }>("-n", namespace.name, "get", "events");
      return items.some((event) => event.message === message && event.count === time);
    });
    // From when on a repetition is written.
    later += 61_000;
  }
}

/** Waits, and throws what the log says that the API server refused. */
async function refusedOr(
  log: ReturnType<typeof createRecordingLog>,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const outcome = await eventually("it is done or refused", async () => {
    const error = log.lines.map(({ facts }) => facts["err"]).find((each) => each instanceof PodplugError);
    return error ?? ((await holds()) ? "done" : undefined);
  });
  if (outcome !== "done") throw outcome;
}
