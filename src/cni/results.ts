import { isIP } from "node:net";
import { messageOf, PodplugError } from "../domain/errors.ts";
import { isDeeperThan, isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import { type CniVersion, cniVersions, isAtLeast, isCniVersion, newestVersion } from "./versions.ts";

/** The form of 0.3.0 and newer; a plugin's own keys may stand beside these (spec 1.1.0, section 5). */
export type CniResult = JsonObject & {
  readonly cniVersion: string;
  readonly interfaces?: readonly CniInterface[];
  readonly ips?: readonly CniAddress[];
  readonly routes?: readonly CniRoute[];
  readonly dns?: JsonObject;
};

export type CniInterface = JsonObject & {
  readonly name?: string;
  readonly mac?: string;
  /** The namespace's path; absent or empty for an interface of the host. */
  readonly sandbox?: string;
};

export type CniAddress = JsonObject & {
  /** With prefix length. */
  readonly address: string;
  readonly gateway?: string;
  /** An index into `interfaces`. */
  readonly interface?: number;
};

export type CniRoute = JsonObject & { readonly dst: string; readonly gw?: string };

const maxDepth = 32;

/**
 * Reads what a plugin printed after ADD. An absent version means the
 * configuration's (as libcni has it, against the letter of the old specs).
 * Throws PLUGIN_BAD_OUTPUT naming the key.
 */
export function readResult(text: string, configVersion: CniVersion): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const what = text.trim() === "" ? "printed no result" : `printed something other than JSON`;
    throw new PodplugError("PLUGIN_BAD_OUTPUT", `${what}: ${messageOf(cause)}`, { cause });
  }
  if (!isJsonObject(value)) throw badResult(["not an object"]);
  const version = value["cniVersion"] || configVersion;
  const result = { ...value, cniVersion: version };
  checkResult(result);
  return result;
}

/** The result in the form of another version of the specification. Throws PLUGIN_BAD_OUTPUT when it isn't a result. */
export function convertResult(result: JsonObject, version: CniVersion): JsonObject {
  const from = checkResult(result);
  if (from === version) return result;
  const list = isAtLeast(from, "0.3.0") ? result : fromFamilies(result);
  if (!isAtLeast(version, "0.3.0")) return toFamilies(list, version);
  const ips = objects(list["ips"]).map(isAtLeast(version, "1.0.0") ? withoutFamily : withFamily);
  return { ...list, cniVersion: version, ...(ips.length > 0 && { ips }) };
}

/** The result in the form of the newest version, the one that podplug's other rooms read. */
export function toNewestResult(result: JsonObject): CniResult {
  const newest = convertResult(result, newestVersion);
  // A null stands for an absent key in some languages' JSON, and nobody should have to think of it twice.
  return Object.fromEntries(Object.entries(newest).filter(([, value]) => value !== null)) as CniResult;
}

/** The result's version, when every key podplug reads has the type that the specification gives it. */
function checkResult(result: JsonObject): CniVersion {
  const version = result["cniVersion"];
  if (!isCniVersion(version)) {
    throw badResult([`cniVersion: ${JSON.stringify(version)} isn't one of ${cniVersions.join(", ")}`]);
  }
  // It is kept, and told to clients, whose libraries take no message of more than a hundred levels.
  if (isDeeperThan(result, maxDepth)) throw badResult([`it is nested deeper than ${maxDepth} levels`]);
  const faults: string[] = [];
  if (isAtLeast(version, "0.3.0")) {
    for (const [index, item] of listed(result, "interfaces", faults)) {
      expectText(item["name"], `interfaces[${index}].name`, faults);
      expectText(item["mac"], `interfaces[${index}].mac`, faults);
      expectText(item["sandbox"], `interfaces[${index}].sandbox`, faults);
    }
    for (const [index, item] of listed(result, "ips", faults)) {
      expectCidr(item["address"], `ips[${index}].address`, faults);
      expectAddress(item["gateway"], `ips[${index}].gateway`, faults);
      const owner = item["interface"] ?? 0;
      if (!Number.isSafeInteger(owner)) faults.push(`ips[${index}].interface: not an index`);
    }
    checkRoutes(result, "", faults);
  } else {
    for (const family of ["ip4", "ip6"]) {
      const config = result[family] ?? null;
      if (config === null) continue;
      if (!isJsonObject(config)) {
        faults.push(`${family}: not an object`);
        continue;
      }
      expectCidr(config["ip"], `${family}.ip`, faults);
      expectAddress(config["gateway"], `${family}.gateway`, faults);
      checkRoutes(config, `${family}.`, faults);
    }
  }
  const dns = result["dns"] ?? null;
  if (dns !== null && !isJsonObject(dns)) faults.push("dns: not an object");
  if (faults.length > 0) throw badResult(faults);
  return version;
}

function checkRoutes(holder: JsonObject, path: string, faults: string[]): void {
  for (const [index, item] of listed(holder, "routes", faults, path)) {
    expectCidr(item["dst"], `${path}routes[${index}].dst`, faults);
    expectAddress(item["gw"], `${path}routes[${index}].gw`, faults);
  }
}

function fromFamilies(result: JsonObject): JsonObject {
  const { ip4: _ip4, ip6: _ip6, ...rest } = result;
  const configs = [result["ip4"], result["ip6"]].filter(isJsonObject);
  const ips = configs.map(({ ip = "", gateway }) => ({
    address: ip,
    ...(gateway !== undefined && { gateway }),
  }));
  const routes = configs.flatMap((config) => objects(config["routes"]));
  return { ...rest, ...(ips.length > 0 && { ips }), ...(routes.length > 0 && { routes }) };
}

/** The old form holds one address of each family and no interfaces; the first ones are kept. */
function toFamilies(result: JsonObject, version: CniVersion): JsonObject {
  const { interfaces: _interfaces, ips: _ips, routes: _routes, ...rest } = result;
  const family = (key: "ip4" | "ip6"): JsonObject => {
    const first = objects(result["ips"]).find((item) => familyOf(item["address"]) === key);
    if (first === undefined) return {};
    const { address = "", gateway } = first;
    const routes = objects(result["routes"])
      .filter((route) => familyOf(route["dst"]) === key)
      .map(({ dst = "", gw }) => ({ dst, ...(gw !== undefined && { gw }) }));
    return {
      [key]: { ip: address, ...(gateway !== undefined && { gateway }), ...(routes.length > 0 && { routes }) },
    };
  };
  return { ...rest, cniVersion: version, ...family("ip4"), ...family("ip6") };
}

function withoutFamily({ version: _version, ...address }: JsonObject): JsonObject {
  return address;
}

function withFamily(address: JsonObject): JsonObject {
  return { version: familyOf(address["address"]) === "ip4" ? "4" : "6", ...address };
}

function familyOf(cidr: JsonValue | undefined): "ip4" | "ip6" {
  return typeof cidr === "string" && cidr.includes(":") ? "ip6" : "ip4";
}

function objects(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function listed(holder: JsonObject, key: string, faults: string[], path = ""): [number, JsonObject][] {
  const value = holder[key] ?? null;
  if (value === null) return [];
  if (!Array.isArray(value) || !value.every(isJsonObject)) {
    faults.push(`${path}${key}: not a list of objects`);
    return [];
  }
  return [...value.entries()];
}

function expectText(value: JsonValue | undefined, key: string, faults: string[]): void {
  if ((value ?? null) !== null && typeof value !== "string") faults.push(`${key}: not a text`);
}

function expectAddress(value: JsonValue | undefined, key: string, faults: string[]): void {
  if ((value ?? null) === null || value === "") return;
  if (typeof value !== "string" || isIP(value) === 0) {
    faults.push(`${key}: ${JSON.stringify(value)} isn't an IP address`);
  }
}

function expectCidr(value: JsonValue | undefined, key: string, faults: string[]): void {
  const [address = "", prefix = "", ...rest] = typeof value === "string" ? value.split("/") : [];
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (rest.length > 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) {
    faults.push(`${key}: ${JSON.stringify(value)} isn't an IP address with prefix length`);
  }
}

function badResult(faults: readonly string[]): PodplugError {
  return new PodplugError("PLUGIN_BAD_OUTPUT", `isn't a CNI result: ${faults.join("; ")}`);
}
