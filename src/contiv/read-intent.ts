import { isInterfaceName } from "../domain/names.ts";
import { allocate } from "./allocate.ts";
import type { IntentHost, ReadIntent } from "./intent.ts";
import { type IntentText, readIntentText } from "./intent-text.ts";
import { parseAddress } from "./ipv4.ts";

/** Reads contiv's intent, from its JSON text to every endpoint's address; all faults are told together. */
export function readIntent(text: string): ReadIntent {
  const read = readIntentText(text);
  const invalid = (faults: readonly string[]): ReadIntent => ({
    kind: "invalid",
    faults,
    words: new Set(text.split(/[^\w.-]+/)),
  });
  if (read.kind === "unreadable") return invalid(read.faults);
  const faults: string[] = [];
  const hosts = readHosts(read.text.Hosts, faults);
  const networks = allocate(read.text, new Set(hosts.map(({ name }) => name)), faults);
  return faults.length > 0 ? invalid(faults) : { kind: "valid", intent: { hosts, networks } };
}

function readHosts(hosts: IntentText["Hosts"], faults: string[]): readonly IntentHost[] {
  const names = new Set<string>();
  const vteps = new Map<string, string>();
  return hosts.flatMap(({ Name: name, Intf: uplink, VtepIP: vtepIp }, index) => {
    const path = `Hosts[${index}]`;
    const reject = (key: string, fault: string): void => void faults.push(`${path}.${key}: ${fault}`);
    if (name === undefined) {
      reject("Name", "it is missing");
      return [];
    }
    if (names.has(name)) reject("Name", `there is another host ${name}`);
    names.add(name);
    if (uplink !== undefined && !isInterfaceName(uplink)) {
      reject("Intf", `${JSON.stringify(uplink)} isn't an interface's name`);
    }
    if (vtepIp !== undefined) {
      const other = vteps.get(vtepIp);
      if (parseAddress(vtepIp) === undefined) {
        reject("VtepIP", `${JSON.stringify(vtepIp)} isn't an IPv4 address`);
      } else if (other !== undefined) reject("VtepIP", `${vtepIp} is ${other}'s too`);
      vteps.set(vtepIp, name);
    }
    return [{ name, vtepIp, uplink }];
  });
}
