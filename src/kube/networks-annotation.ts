import { z } from "zod";
import { messageOf } from "../domain/errors.ts";
import { isDeeperThan, isJsonObject, type JsonObject } from "../domain/json.ts";
import { isInterfaceName, isObjectName } from "../domain/names.ts";
import { type NetworkSelection, normalizeSelection } from "../domain/selection.ts";

/** A JSON list, or a comma-separated list of `[namespace/]name[@interface]`: anything with one of `[`, `{` or `"` is JSON to the standard's own client. */
export function isJsonForm(annotation: string): boolean {
  return /[[{"]/.test(annotation);
}

export interface NetworksRead {
  /** The valid ones, in the annotation's order; no namespace where none is written. */
  readonly selections: readonly NetworkSelection[];
  /** All that is wrong; empty for a valid annotation. */
  readonly faults: readonly string[];
}

/** Reads either form, and leaves keys alone that it doesn't know. An empty annotation is an empty list. */
export function readNetworks(annotation: string): NetworksRead {
  if (annotation.trim() === "") return { selections: [], faults: [] };
  const faults: string[] = [];
  const read = isJsonForm(annotation) ? readJson(annotation, faults) : readCommas(annotation, faults);
  const selections = read.flatMap((selection, index) => normalize(selection, index, faults));
  if (selections.filter(({ defaultRoute }) => defaultRoute).length > 1) {
    faults.push("more than one network asks for the default route");
  }
  return { selections, faults };
}

/** As deep as the API takes them. */
const maxArgsDepth = 32;

// Writers in Go print an absent object as null.
const text = z.string().nullish();
const bits = z.number().nullish();

const element = z.object({
  name: z.string(),
  namespace: text,
  interface: text,
  ips: z.array(z.string()).nullish(),
  mac: text,
  "cni-args": z
    .custom<JsonObject>(isJsonObject, "not an object")
    .refine((args) => !isDeeperThan(args, maxArgsDepth), `nested deeper than ${maxArgsDepth} levels`)
    .nullish(),
  portMappings: z
    .array(z.object({ hostPort: z.number(), containerPort: z.number(), protocol: text, hostIP: text }))
    .nullish(),
  bandwidth: z
    .object({ ingressRate: bits, ingressBurst: bits, egressRate: bits, egressBurst: bits })
    .nullish(),
  "default-route": z.array(z.string()).nullish(),
  "infiniband-guid": text,
  "ipam-claim-reference": text,
  deviceID: text,
});

function readCommas(annotation: string, faults: string[]): readonly NetworkSelection[] {
  return annotation.split(",").map((part): NetworkSelection => {
    const [path = "", ifName, ...moreNames] = part.split("@").map((each) => each.trim());
    const [name = "", namespace, ...morePath] = path
      .split("/")
      .map((each) => each.trim())
      .toReversed();
    const isGood =
      moreNames.length === 0 &&
      morePath.length === 0 &&
      isObjectName(name) &&
      (namespace === undefined || isObjectName(namespace)) &&
      (ifName === undefined || isInterfaceName(ifName));
    if (!isGood) {
      faults.push(`${JSON.stringify(part.trim())} isn't of the form [namespace/]name[@interface]`);
      return { name: "invalid" };
    }
    return { name, namespace, interface: ifName };
  });
}

function readJson(annotation: string, faults: string[]): readonly NetworkSelection[] {
  let value: unknown;
  try {
    value = JSON.parse(annotation);
  } catch (error) {
    faults.push(`it isn't JSON: ${messageOf(error)}`);
    return [];
  }
  const parsed = z.array(element).safeParse(value);
  if (parsed.success) return parsed.data.map(toSelection);
  faults.push(...parsed.error.issues.map(({ path, message }) => `${pathOf(path)}${message.toLowerCase()}`));
  return [];
}

function toSelection(given: z.infer<typeof element>): NetworkSelection {
  const defaultRoute = given["default-route"];
  return {
    name: given.name,
    namespace: given.namespace || undefined,
    interface: given.interface || undefined,
    ips: given.ips ?? undefined,
    mac: given.mac || undefined,
    defaultRoute: defaultRoute ? { gateways: defaultRoute } : undefined,
    cniArgs: given["cni-args"] ?? undefined,
    bandwidth: given.bandwidth
      ? {
          ingressRate: given.bandwidth.ingressRate ?? undefined,
          ingressBurst: given.bandwidth.ingressBurst ?? undefined,
          egressRate: given.bandwidth.egressRate ?? undefined,
          egressBurst: given.bandwidth.egressBurst ?? undefined,
        }
      : undefined,
    portMappings: given.portMappings?.map(({ hostPort, containerPort, protocol, hostIP }) => ({
      hostPort,
      containerPort,
      protocol: protocol || undefined,
      hostIp: hostIP || undefined,
    })),
    infinibandGuid: given["infiniband-guid"] || undefined,
    ipamClaimReference: given["ipam-claim-reference"] || undefined,
    deviceId: given.deviceID || undefined,
  };
}

function normalize(
  selection: NetworkSelection,
  index: number,
  faults: string[],
): readonly NetworkSelection[] {
  try {
    return [normalizeSelection(selection)];
  } catch (error) {
    faults.push(`[${index}]: ${messageOf(error)}`);
    return [];
  }
}

/** `[1].mac: `, and nothing for the whole. */
function pathOf(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "";
  return `${path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("")}: `;
}
