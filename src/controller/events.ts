import type { PodplugError } from "../domain/errors.ts";
import type { PodInterface } from "../domain/node-api.ts";
import type { ErrorKind } from "../domain/reasons.ts";
import type { PodEventFacts } from "../kube/contract.ts";
import { attachedName } from "./attachments.ts";

/** Kinds of failure that the annotation, or what else is in the pod, is the cause of. */
const rejections: readonly ErrorKind[] = ["invalid", "conflict", "denied", "unsupported"];

export function addedEvent(attachment: PodInterface): PodEventFacts {
  const ips = attachment.ips.length > 0 ? ` (${attachment.ips.join(", ")})` : "";
  return {
    type: "Normal",
    reason: "AddedInterface",
    message: `added interface ${attachedName(attachment)} to network ${attachment.network}${ips}`,
  };
}

export function removedEvent(attachment: PodInterface): PodEventFacts {
  return {
    type: "Normal",
    reason: "RemovedInterface",
    message: `removed interface ${attachedName(attachment)} from network ${attachment.network}`,
  };
}

export function addFailedEvent(
  network: string,
  ifName: string | undefined,
  error: PodplugError,
): PodEventFacts {
  const what = ifName === undefined ? `an interface` : `interface ${ifName}`;
  const isRejected = rejections.includes(error.kind);
  return {
    type: "Warning",
    reason: isRejected ? "InterfaceAddRejected" : "FailedAddingInterface",
    message: `can't add ${what} to network ${network}: ${error.reason}: ${error.message}`,
  };
}

export function removeFailedEvent(attachment: PodInterface, error: PodplugError): PodEventFacts {
  return {
    type: "Warning",
    reason: "FailedRemovingInterface",
    message: `can't remove interface ${attachedName(attachment)} from network ${attachment.network}: ${error.reason}: ${error.message}`,
  };
}

export function driftedEvent(attachment: PodInterface, fault: string): PodEventFacts {
  return {
    type: "Warning",
    reason: "InterfaceCheckFailed",
    message: `interface ${attachedName(attachment)} of network ${attachment.network} isn't as it was added: ${fault}`,
  };
}

export function refusedEvent(message: string): PodEventFacts {
  return { type: "Warning", reason: "InterfaceAddRejected", message };
}
