import { z } from "zod";
import type { CacheEntry } from "../cni/cache.ts";
import { cacheKind, decodeCacheEntry, encodeCacheEntry } from "../cni/cache.ts";
import { toNewestResult } from "../cni/results.ts";
import { messageOf } from "../domain/errors.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { isJsonObject } from "../domain/json.ts";
import { isInterfaceName } from "../domain/names.ts";
import { networkSources } from "../domain/selection.ts";
import type { AttachmentRecord, RecordedChain } from "./journal.ts";

/** The version of our part of a journal file. A newer one is never read, changed or removed. */
const recordVersion = 1;

/** libcni's garbage collection takes every entry of its own kind for a complete attachment; an intent isn't one yet. */
const intentKind = "podplugIntentV1";

/**
 * damaged: ours once, but broken: empty, cut off, or with a key of the wrong type.
 * newer:   ours, of a version to come.
 * foreign: a whole file of somebody else's.
 */
export type DecodedFile =
  | { readonly kind: "record"; readonly record: AttachmentRecord }
  | { readonly kind: "damaged"; readonly fault: string }
  | { readonly kind: "newer"; readonly version: number }
  | { readonly kind: "foreign" };

const jsonObject = z.custom<JsonObject>(isJsonObject, "not an object");
const podRef = z.object({ namespace: z.string(), name: z.string(), uid: z.string().optional() });
const nonNegative = z.int().min(0);

const selection = z.object({
  name: z.string().optional(),
  namespace: z.string().optional(),
  interface: z.string().optional(),
  ips: z.array(z.string()).optional(),
  mac: z.string().optional(),
  defaultRoute: z.object({ gateways: z.array(z.string()) }).optional(),
  cniArgs: jsonObject.optional(),
  bandwidth: z
    .object({
      ingressRate: nonNegative.optional(),
      ingressBurst: nonNegative.optional(),
      egressRate: nonNegative.optional(),
      egressBurst: nonNegative.optional(),
    })
    .optional(),
  portMappings: z
    .array(
      z.object({
        hostPort: nonNegative,
        containerPort: nonNegative,
        protocol: z.string().optional(),
        hostIp: z.string().optional(),
      }),
    )
    .optional(),
  infinibandGuid: z.string().optional(),
  deviceId: z.string().optional(),
  config: z.string().optional(),
  ipamClaimReference: z.string().optional(),
  source: z.enum(networkSources).optional(),
});

const routesBefore = z.array(
  z.object({
    family: z.enum(["ipv4", "ipv6"]),
    ifIndexes: z.array(nonNegative),
    encoded: z.base64(),
  }),
);

const chain = z.object({
  networkName: z.string(),
  config: z.string(),
  cniArgs: z.array(z.tuple([z.string(), z.string()])),
  capabilityArgs: jsonObject,
  result: jsonObject.optional(),
  ifIndex: nonNegative.optional(),
  routesBefore: routesBefore.optional(),
});

const ourPart = z.object({
  version: z.literal(recordVersion),
  id: z.string().min(1),
  state: z.enum(["attaching", "attached", "detaching", "failed", "waiting"]),
  sandbox: z.object({
    id: z.string().min(1),
    netnsPath: z.string().startsWith("/"),
    netns: z.object({ bootId: z.string(), inode: z.string(), cookie: z.string() }),
    pod: podRef.optional(),
  }),
  ifName: z.string().refine(isInterfaceName),
  target: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("pod"), pod: podRef }),
    z.object({ kind: z.literal("container"), containerId: z.string() }),
    z.object({ kind: z.literal("netns"), netns: z.string() }),
  ]),
  network: z.string(),
  selection,
  owner: z.string(),
  key: z.string(),
  caller: z.string(),
  executor: z.string(),
  adopted: z.literal(true).optional(),
  restores: z.literal(true).optional(),
  late: z.literal(true).optional(),
  ifIndex: nonNegative.optional(),
  routesBefore: routesBefore.optional(),
  replaces: chain.optional(),
  attachedAt: z.iso.datetime().optional(),
  failure: z
    .object({
      reason: z.string(),
      message: z.string(),
      plugin: z.string().optional(),
      cniCode: z.number().optional(),
      details: z.string().optional(),
      retryable: z.boolean(),
      retryAfterMs: z.number().optional(),
    })
    .optional(),
});

export function encodeRecord(record: AttachmentRecord): string {
  const { chain: ran, attachedAt, ...rest } = record;
  const { result, ifIndex, routesBefore: before, networkName, config, cniArgs, capabilityArgs } = ran;
  const entry: CacheEntry = {
    kind: result ? cacheKind : intentKind,
    containerId: record.sandbox.id,
    ifName: record.ifName,
    networkName,
    netnsPath: record.sandbox.netnsPath,
    config,
    cniArgs,
    capabilityArgs,
    result,
  };
  const ours = {
    version: recordVersion,
    ...rest,
    ifIndex,
    routesBefore: before,
    attachedAt: attachedAt?.toISOString(),
  };
  return JSON.stringify(encodeCacheEntry(entry, { podplug: ours as unknown as JsonValue }));
}

export function decodeRecord(bytes: Uint8Array): DecodedFile {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    return { kind: "damaged", fault: bytes.length === 0 ? "it is empty" : messageOf(error) };
  }
  const ours = isJsonObject(value) ? value["podplug"] : undefined;
  if (!isJsonObject(ours)) return { kind: "foreign" };
  const { version } = ours;
  if (typeof version === "number" && version > recordVersion) return { kind: "newer", version };
  try {
    const { attachedAt, ifIndex, routesBefore: before, version: _version, ...rest } = ourPart.parse(ours);
    const { networkName, config, cniArgs, capabilityArgs, result } = decodeCacheEntry(text).entry;
    // A result that can't be read would make every later answer fail.
    if (result) toNewestResult(result);
    const ran: RecordedChain = {
      networkName,
      config,
      cniArgs,
      capabilityArgs,
      result,
      ifIndex,
      routesBefore: before,
    };
    return {
      kind: "record",
      record: {
        ...rest,
        chain: ran,
        attachedAt: attachedAt === undefined ? undefined : new Date(attachedAt),
      },
    };
  } catch (error) {
    return {
      kind: "damaged",
      fault: error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error),
    };
  }
}
