import { type Command, InvalidArgumentError } from "commander";
import type { Target } from "../../../domain/target.ts";

export interface TargetFlags {
  readonly namespace?: string;
  readonly netns?: string;
  readonly container?: string;
}

export interface ScopeFlags extends TargetFlags {
  readonly allNamespaces?: boolean;
}

const defaultNamespace = "default";

export function addTargetOptions(command: Command): Command {
  return command
    .optionsGroup("Target:")
    .option("-n, --namespace <namespace>", `the pod's namespace (default: ${defaultNamespace})`)
    .option("--netns <path>", "a network namespace in place of a pod: its path, or its name in /run/netns")
    .option("--container <id>", "a container of the node's runtime in place of a pod");
}

export function addScopeOptions(command: Command): Command {
  return addTargetOptions(command).option(
    "-A, --all-namespaces",
    "the pods of every namespace, and bare network namespaces",
  );
}

/** Whether the flags name the target, so that no POD is expected among the arguments. */
export function isTargetGiven(flags: TargetFlags): boolean {
  return flags.netns !== undefined || flags.container !== undefined;
}

/** The one target that POD or the flags name; undefined when nothing does. */
export function readTarget(pod: string | undefined, flags: TargetFlags): Target | undefined {
  const { namespace, netns, container } = flags;
  const given = [
    pod === undefined ? [] : ["POD"],
    netns === undefined ? [] : ["--netns"],
    container === undefined ? [] : ["--container"],
  ].flat();
  if (given.length > 1) throw new InvalidArgumentError(`${given.join(" and ")} exclude each other`);
  if (namespace !== undefined && isTargetGiven(flags)) {
    throw new InvalidArgumentError(`--namespace goes with a pod, not with ${given.join()}`);
  }
  if (netns !== undefined) return { kind: "netns", netns };
  if (container !== undefined) return { kind: "container", containerId: container };
  return pod === undefined ? undefined : readPod(pod, namespace);
}

/** POD is a name, or `namespace/name` as the tables print it. */
function readPod(text: string, namespace: string | undefined): Target {
  const [first = "", second, ...rest] = text.split("/");
  if (second === undefined)
    return { kind: "pod", pod: { namespace: namespace ?? defaultNamespace, name: first } };
  if (rest.length > 0 || first === "" || second === "") {
    throw new InvalidArgumentError(`${JSON.stringify(text)} isn't a pod: use NAME or NAMESPACE/NAME`);
  }
  if (namespace !== undefined && namespace !== first) {
    throw new InvalidArgumentError(`pod ${text} and --namespace ${namespace} contradict each other`);
  }
  return { kind: "pod", pod: { namespace: first, name: second } };
}

/** What a list shows: one target, one namespace's pods, or all of the node. */
export interface Scope {
  readonly target: Target | undefined;
  /** Whose pods; every namespace's when undefined. */
  readonly namespace: string | undefined;
  /** Also network namespaces that no pod owns, which belong to no namespace of Kubernetes. */
  readonly bare: boolean;
}

export function readScope(pod: string | undefined, flags: ScopeFlags): Scope {
  const target = readTarget(pod, flags);
  if (flags.allNamespaces !== true) {
    const namespace = target === undefined ? (flags.namespace ?? defaultNamespace) : undefined;
    return { target, namespace, bare: flags.namespace === undefined };
  }
  if (target !== undefined || flags.namespace !== undefined) {
    throw new InvalidArgumentError("--all-namespaces excludes a single pod, namespace, netns or container");
  }
  return { target: undefined, namespace: undefined, bare: true };
}
