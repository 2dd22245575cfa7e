import { toNewestResult } from "../cni/results.ts";
import type { PodInterface } from "../domain/node-api.ts";
import type { KernelInterface } from "../interfaces/contract.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { driftOf } from "./drift.ts";
import type { AttachmentRecord } from "./journal.ts";

/**
 * The interfaces of one sandbox: what the kernel has, joined with what the
 * records know, by the index recorded at ADD whatever an interface is called
 * now. Records without a kernel interface come last.
 */
export function joinInterfaces(
  sandbox: Sandbox,
  links: readonly KernelInterface[],
  records: readonly AttachmentRecord[],
): readonly PodInterface[] {
  const recordOf = new Map<KernelInterface, AttachmentRecord>();
  for (const record of records) {
    const link = links.find((each) => isLinkOf(each, record));
    if (link) recordOf.set(link, record);
  }
  const withoutLink = records.filter((record) => !links.some((link) => recordOf.get(link) === record));
  return [
    ...links.map((link) => viewOf(sandbox, link, recordOf.get(link))),
    ...withoutLink.map((record) => viewOf(sandbox, undefined, record)),
  ];
}

export function isLinkOf(
  link: KernelInterface,
  { state, ifName, chain, replaces }: AttachmentRecord,
): boolean {
  if (chain.ifIndex !== undefined) return link.index === chain.ifIndex;
  if (link.index === replaces?.ifIndex) return true;
  // Before ADD is complete the index isn't known; the name was free, so who has it now got it from us.
  return state !== "attached" && link.name === ifName;
}

export function viewOf(
  sandbox: Sandbox,
  link: KernelInterface | undefined,
  record: AttachmentRecord | undefined,
): PodInterface {
  return {
    pod: sandbox.pod,
    sandboxId: sandbox.id,
    netns: sandbox.netnsPath,
    name: link?.name ?? record?.ifName ?? "",
    mac: link?.mac ?? "",
    ips: link?.ips ?? [],
    mtu: link?.mtu ?? 0,
    up: link?.up ?? false,
    index: link?.index ?? 0,
    ...(link?.counters && { counters: link.counters }),
    ...(record ? attachmentPart(link, record) : bareLink),
  };
}

/** What is no longer there, as it was recorded. */
export function viewOfDetached(record: AttachmentRecord): PodInterface {
  return viewOf(record.sandbox, undefined, { ...record, state: "detaching", failure: undefined });
}

/** What will be in its pod's next sandbox. */
export function viewOfWaiting(record: AttachmentRecord): PodInterface {
  return viewOf(record.sandbox, undefined, record);
}

const bareLink = {
  network: "",
  origin: "pod",
  gateways: [],
  deviceId: "",
  attachmentId: "",
  owner: "",
  key: "",
} as const;

function attachmentPart(link: KernelInterface | undefined, record: AttachmentRecord) {
  const result = record.chain.result && toNewestResult(record.chain.result);
  const failure = driftOf(link, record) ?? record.failure;
  return {
    network: record.network,
    origin: record.adopted ? ("pod" as const) : ("podplug" as const),
    gateways: (result?.ips ?? []).flatMap(({ gateway }) => gateway ?? []),
    state: failure && record.state === "attached" ? ("failed" as const) : record.state,
    attachedAt: record.attachedAt,
    deviceId: record.selection.deviceId ?? "",
    failure,
    attachmentId: record.id,
    owner: record.owner,
    key: record.key,
    selection: record.selection,
    cniResult: result,
  };
}
