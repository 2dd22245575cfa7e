import { type Command, InvalidArgumentError } from "commander";
import type { PodRef, Target } from "../../../domain/target.ts";
import type { Surface } from "../surface.ts";

export interface TargetFlags {
  readonly namespace?: string;
  readonly netns?: string;
  readonly container?: string;
}

export interface ScopeFlags extends TargetFlags {
  readonly allNamespaces?: boolean;
}

export function addTargetOptions(command: Command, { targets, defaultNamespace }: Surface): Command {
  command
    .optionsGroup("Target:")
    .option("-n, --namespace <namespace>", `the pod's namespace (default: ${defaultNamespace})`);
  if (targets === "pods") return command;
  return command
    .option("--netns <path>", "a network namespace in place of a pod: its path, or its name in /run/netns")
    .option("--container <id>", "a container of the node's runtime in place of a pod");
}

export function addScopeOptions(command: Command, surface: Surface): Command {
  return addTargetOptions(command, surface).option(
    "-A, --all-namespaces",
    surface.targets === "any"
      ? "the pods of every namespace, and bare network namespaces"
      : "the pods of every namespace",
  );
}

/** For messages: `POD (or --netns, --container)`. */
export function targetWords({ targets }: Surface, ...others: readonly string[]): string {
  const options = [...(targets === "any" ? ["--netns", "--container"] : []), ...others];
  return options.length === 0 ? "POD" : `POD (or ${options.join(", ")})`;
}

/** Whether the flags name the target, so that no POD is expected among the arguments. */
export function isTargetGiven(flags: TargetFlags): boolean {
  return flags.netns !== undefined || flags.container !== undefined;
}

/** The one target that POD or the flags name; undefined when nothing does. A POD without a namespace is in `home`. */
export function readTarget(pod: string | undefined, flags: TargetFlags, home: string): Target | undefined {
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
  return pod === undefined ? undefined : { kind: "pod", pod: readPod(pod, namespace, home) };
}

/** POD is a name, or `namespace/name` as the tables print it. */
export function readPod(text: string, namespace: string | undefined, home: string): PodRef {
  const [first = "", second, ...rest] = text.split("/");
  if (second === undefined) return { namespace: namespace ?? home, name: first };
  if (rest.length > 0 || first === "" || second === "") {
    throw new InvalidArgumentError(`${JSON.stringify(text)} isn't a pod: use NAME or NAMESPACE/NAME`);
  }
  if (namespace !== undefined && namespace !== first) {
    throw new InvalidArgumentError(`pod ${text} and --namespace ${namespace} contradict each other`);
  }
  return { namespace: first, name: second };
}

/** What a list shows: one target, one namespace's pods, or all of the node. */
export interface Scope {
  readonly target: Target | undefined;
  /** Whose pods; every namespace's when undefined. */
  readonly namespace: string | undefined;
  /** Also network namespaces that no pod owns, which belong to no namespace of Kubernetes. */
  readonly bare: boolean;
}

export function readScope(pod: string | undefined, flags: ScopeFlags, home: string): Scope {
  const target = readTarget(pod, flags, home);
  if (flags.allNamespaces !== true) {
    const namespace = target === undefined ? (flags.namespace ?? home) : undefined;
    return { target, namespace, bare: flags.namespace === undefined };
  }
  if (target !== undefined || flags.namespace !== undefined) {
    throw new InvalidArgumentError("--all-namespaces excludes a single pod, namespace, netns or container");
  }
  return { target: undefined, namespace: undefined, bare: true };
}
