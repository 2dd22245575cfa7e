import { toNewestResult } from "../cni/results.ts";
import { type Failure, failureOf, PodplugError } from "../domain/errors.ts";
import { plainAddress } from "../domain/selection.ts";
import type { KernelInterface } from "../interfaces/contract.ts";
import type { AttachmentRecord } from "./journal.ts";

/** What is no longer as ADD left it, as far as a look at the kernel tells. */
export function driftOf(link: KernelInterface | undefined, record: AttachmentRecord): Failure | undefined {
  const { ifName, chain } = record;
  if (record.state !== "attached" || chain.ifIndex === undefined) return undefined;
  if (!link) return failed(`interface ${ifName} is gone from the pod`);
  if (link.name !== ifName) return failed(`interface ${ifName} was renamed to ${link.name}`);
  const present = new Set(link.ips.map(plainAddress));
  const missing = addressesOf(record).filter((address) => !present.has(address));
  return missing.length === 0 ? undefined : failed(`interface ${ifName} has lost ${missing.join(", ")}`);
}

/** Those that ADD says it gave the interface. One more is the pod's own affair. */
function addressesOf({ ifName, chain }: AttachmentRecord): readonly string[] {
  const { interfaces = [], ips = [] } = chain.result ? toNewestResult(chain.result) : {};
  return ips
    .filter(({ interface: index }) => {
      const link = index === undefined ? undefined : interfaces[index];
      return link?.name === ifName && link.sandbox;
    })
    .map(({ address }) => plainAddress(address));
}

function failed(message: string): Failure {
  return failureOf(new PodplugError("CHECK_FAILED", message));
}
