import { createHash } from "node:crypto";
import { canonicalJson } from "../domain/json.ts";
import { hashedNetName, isInterfaceName, lowestFreeNetName } from "../domain/names.ts";
import type { PodInterface } from "../domain/node-api.ts";
import { bareAddress, type NetworkSelection, plainAddress } from "../domain/selection.ts";
import { attachedName, isComplete, isLost } from "./attachments.ts";
import { adoption, matchColdPlugged } from "./cold-plugged.ts";
import { interfaceOf, networkOf, type StatusEntry, wholeName } from "./status-entries.ts";
import type { Step, StepsInput } from "./steps.ts";
import type { WantedSelection } from "./wanted.ts";

/**
 * The steps from what is there to what is wanted, in their order: adds as the
 * annotation has them, then removals; but a removal goes first when its
 * address or hardware address is wanted by an add. Nothing is done for what is
 * as it should be already.
 */
export function stepsBetween(input: StepsInput): readonly Step[] {
  const own = input.interfaces.filter(
    ({ attachmentId, owner }) => attachmentId !== "" && owner === input.owner,
  );
  const matches = match(input, own);
  const kept = new Set(matches.values());
  const names = nameSource(input);
  const keys = new Set(own.map(({ key }) => key));
  const changes = input.wanted.flatMap((wanted): readonly Step[] => {
    const found = matches.get(wanted);
    if (found && "coldPlugged" in found) return adoption(wanted, found.coldPlugged, input.interfaces);
    if (found && networkOfKey(found.key) === wanted.network) return change(wanted, found, found.key, input);
    const key = freeKey(wanted, keys);
    keys.add(key);
    if (found) return change(wanted, found, key, input);
    const chosen = wanted.selection.interface ?? names(wanted, key);
    const selection = chosen === undefined ? wanted.selection : { ...wanted.selection, interface: chosen };
    return [{ kind: "attach", network: wanted.network, selection, key, replace: false }];
  });
  const removals = own
    .filter((attachment) => !kept.has(attachment))
    .map((attachment) => ({ kind: "detach", attachment, why: "unwanted" }) as const);
  const isFirst = ({ attachment }: (typeof removals)[number]): boolean =>
    changes.some((step) => step.kind === "attach" && isInTheWay(attachment, step.selection));
  return [...removals.filter(isFirst), ...changes, ...removals.filter((removal) => !isFirst(removal))];
}

type Match = PodInterface | { readonly coldPlugged: StatusEntry };

/**
 * Which wanted selection each present attachment stands for. Names decide for
 * named selections; of what they leave, an unnamed one takes its network's by
 * key, else any that is as wanted, else any. What the pod was created with
 * counts as there.
 */
function match(input: StepsInput, own: readonly PodInterface[]): ReadonlyMap<WantedSelection, Match> {
  const { wanted, podNamespace } = input;
  const coldPlugged = matchColdPlugged(input);
  const matches = new Map<WantedSelection, Match>(
    [...coldPlugged].map(([each, entry]) => [each, { coldPlugged: entry }]),
  );
  const free = new Set(own);
  const pair = (selects: (each: WantedSelection, attachment: PodInterface) => boolean): void => {
    for (const each of wanted) {
      if (matches.has(each)) continue;
      const found = [...free].find((attachment) => selects(each, attachment));
      if (!found) continue;
      matches.set(each, found);
      free.delete(found);
    }
  };
  const names = namesWanted(wanted);
  const isNamed = ({ selection }: WantedSelection, attachment: PodInterface): boolean =>
    selection.interface === attachedName(attachment);
  // A name that is asked for is given to whoever asks, also when an unnamed one got it before.
  const isUnnamed = ({ network, selection }: WantedSelection, attachment: PodInterface): boolean =>
    selection.interface === undefined &&
    network === networkOfKey(attachment.key) &&
    !names.has(attachedName(attachment));
  const isSame = (each: WantedSelection, attachment: PodInterface): boolean =>
    isSameSelection(each, attachment, podNamespace);

  pair(isNamed);
  pair(
    (each, attachment) =>
      isUnnamed(each, attachment) && each.key === attachment.key && isSame(each, attachment),
  );
  pair((each, attachment) => isUnnamed(each, attachment) && isSame(each, attachment));
  pair((each, attachment) => isUnnamed(each, attachment) && each.key === attachment.key);
  pair(isUnnamed);
  return matches;
}

function namesWanted(wanted: readonly WantedSelection[]): ReadonlySet<string> {
  return new Set(wanted.flatMap(({ selection }) => selection.interface ?? []));
}

/** What brings an attachment of ours to what is wanted of it. */
function change(
  wanted: WantedSelection,
  attachment: PodInterface,
  key: string,
  input: StepsInput,
): readonly Step[] {
  const isSame =
    networkOfKey(attachment.key) === wanted.network &&
    isSameSelection(wanted, attachment, input.podNamespace);
  const isHealed = isLost(attachment) && input.heals && !input.isKubeVirt;
  if (isSame && isComplete(attachment) && !isHealed) return [];
  const isNamed = wanted.selection.interface !== undefined;
  const keepsName = isNamed || isHealed || attachment.selection?.interface !== undefined;
  const attach: Step = {
    kind: "attach",
    network: wanted.network,
    selection: keepsName ? { ...wanted.selection, interface: attachedName(attachment) } : wanted.selection,
    key,
    replace: !isHealed,
  };
  return isHealed ? [{ kind: "detach", attachment, why: "lost" }, attach] : [attach];
}

function isSameSelection(
  wanted: WantedSelection,
  { selection = {} }: PodInterface,
  podNamespace: string,
): boolean {
  const plain = ({ namespace, interface: _interface, ips, ...rest }: NetworkSelection): NetworkSelection => ({
    ...rest,
    namespace: namespace === podNamespace ? undefined : namespace,
    ips: ips?.map((ip) => ip.replace(bareAddress(ip), plainAddress(ip))),
  });
  return canonicalJson(plain(wanted.selection)) === canonicalJson(plain(selection));
}

function isInTheWay(attachment: PodInterface, selection: NetworkSelection): boolean {
  const held = attachment.selection;
  const holds = [...(held?.ips ?? []), ...attachment.ips].map(plainAddress);
  return (
    selection.interface === attachedName(attachment) ||
    (selection.mac !== undefined && selection.mac === held?.mac) ||
    (selection.ips ?? []).some((ip) => holds.includes(plainAddress(ip)))
  );
}

/** Its own key, or where an attachment of the same network holds that, the next one nobody has. */
function freeKey(wanted: WantedSelection, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted.key)) return wanted.key;
  let occurrence = 1;
  while (taken.has(`${wanted.network}#${occurrence}`)) occurrence += 1;
  return `${wanted.network}#${occurrence}`;
}

/**
 * Names for new attachments of unnamed selections: the one that the status
 * remembers from an earlier sandbox; on pods that KubeVirt runs never `netN`,
 * which would make it name all of the machine's interfaces by their order;
 * else the node's choice, unless that could be a name which another selection
 * is still to get.
 */
function nameSource(input: StepsInput): (wanted: WantedSelection, key: string) => string | undefined {
  const { status, interfaces, podNamespace, isKubeVirt, ifNaming } = input;
  const present = new Set(interfaces.flatMap((each) => [each.name, attachedName(each)]));
  const reserved = namesWanted(input.wanted);
  const isContested = [...reserved].some((name) => name.startsWith("net") && !present.has(name));
  const taken = new Set([...present, ...reserved]);
  const choose = ({ selection: { name = "" } }: WantedSelection, key: string): string | undefined => {
    if (isKubeVirt) return hashedName(key);
    if (!isContested) return undefined;
    return ifNaming === "hash" ? hashedNetName(name, taken) : lowestFreeNetName(taken);
  };
  return (wanted, key) => {
    const remembered = status
      .filter((entry) => wholeName(networkOf(entry), podNamespace) === wanted.network)
      .map(interfaceOf)
      .find(
        (name) =>
          isInterfaceName(name) &&
          name !== "lo" &&
          !taken.has(name) &&
          !(isKubeVirt && /^net\d+$/.test(name)),
      );
    const name = remembered ?? choose(wanted, key);
    if (name !== undefined) taken.add(name);
    return name;
  };
}

function hashedName(key: string): string {
  return `plug${createHash("sha256").update(key).digest("hex").slice(0, 11)}`;
}

function networkOfKey(key: string): string {
  return key.slice(0, Math.max(key.lastIndexOf("#"), 0));
}
