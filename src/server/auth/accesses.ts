import type { AttachRequest, DetachRequest } from "../../domain/node-api.ts";
import type { NetworkSelection, NetworkSource } from "../../domain/selection.ts";
import type { Target } from "../../domain/target.ts";
import type { Access, Verb } from "./contract.ts";

/** A pod's attachments, or those of what isn't named as a pod. */
export function accessTo(verb: Verb, target: Target): Access {
  switch (target.kind) {
    case "pod":
      return { verb, resource: "podnetworks", namespace: target.pod.namespace, name: target.pod.name };
    case "netns":
      return { verb, resource: "netns", name: target.netns };
    case "container":
      return { verb, resource: "containers", name: target.containerId };
  }
}

/** All that an attach needs; a dry run needs the same, since its answer tells what is there. */
export function attachAccesses(request: AttachRequest, sources: readonly NetworkSource[]): readonly Access[] {
  const { target, network, replace } = request;
  const verbs: readonly Verb[] = replace ? ["create", "delete"] : ["create"];
  const beside = (resource: Access["resource"]): Access => ({
    ...placeOf(target),
    verb: "create",
    resource,
  });
  return [
    ...verbs.map((verb) => accessTo(verb, target)),
    ...(network.config === undefined
      ? networkAccesses(network, target, sources)
      : [beside("podnetworks/config")]),
    ...(network.portMappings?.length ? [beside("podnetworks/hostports")] : []),
  ];
}

export function detachAccesses({ force }: DetachRequest, target: Target | undefined): readonly Access[] {
  // The node refuses a request without a target by itself.
  if (!target) return [];
  return [
    accessTo("delete", target),
    ...(force ? [{ ...placeOf(target), verb: "delete", resource: "podnetworks/force" } as const] : []),
  ];
}

/**
 * The network that is named, in every source that it may come from: which one
 * it will be isn't known before it is looked up.
 */
function networkAccesses(
  { name, namespace, source }: NetworkSelection,
  target: Target,
  sources: readonly NetworkSource[],
): readonly Access[] {
  const searched = source === undefined ? sources : [source];
  return searched.flatMap((each): readonly Access[] => {
    switch (each) {
      case "netAttachDef": {
        const where = namespace ?? placeOf(target).namespace;
        return [{ verb: "get", resource: "network-attachment-definitions", namespace: where, name }];
      }
      case "kaloom":
        return [{ verb: "get", resource: "kaloomnetworks", name }];
      case "directory":
        // Its networks have no namespaces: one that is asked for with a namespace isn't found there.
        return namespace === undefined ? [{ verb: "get", resource: "directorynetworks", name }] : [];
      case "contiv": {
        // Of a target that isn't named as a pod only the node knows the namespace: then it may be any tenant's.
        const tenant = namespace ?? placeOf(target).namespace;
        const whole = tenant === undefined ? undefined : `${tenant}.${name}`;
        return [{ verb: "get", resource: "contivnetworks", name: whole }];
      }
      case "inline":
        // Without a configuration the node refuses the selection.
        return [];
    }
  });
}

function placeOf(target: Target): Pick<Access, "namespace" | "name"> {
  return target.kind === "pod" ? { namespace: target.pod.namespace, name: target.pod.name } : {};
}
