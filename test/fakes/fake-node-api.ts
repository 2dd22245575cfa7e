import type { Caller } from "../../src/domain/attachment.ts";
import { isReservedOwner } from "../../src/domain/attachment.ts";
import { failureOf, PodplugError } from "../../src/domain/errors.ts";
import { canonicalJson } from "../../src/domain/json.ts";
import { lowestFreeNetName } from "../../src/domain/names.ts";
import type {
  AttachAnswer,
  AttachmentChoice,
  AttachRequest,
  DetachAnswer,
  DetachRequest,
  InterfaceEvent,
  ListRequest,
  NodeApi,
  PodInterface,
} from "../../src/domain/node-api.ts";
import { type NetworkSelection, normalizeSelection } from "../../src/domain/selection.ts";
import { unlessAborted } from "../../src/domain/signals.ts";
import { describeTarget, type Target } from "../../src/domain/target.ts";

export interface FakeNode {
  readonly apiFor: (caller: Caller) => NodeApi;
  /** Everyone who asked, in order. */
  readonly callers: readonly Caller[];
  /** Makes a target to plug into. */
  addTarget(target: Target): void;
  readonly attachments: readonly PodInterface[];
  readonly targetOf: (attachmentId: string) => Target | undefined;
  /** How many watches haven't ended, and how many calls wait. */
  readonly watching: number;
  readonly waiting: number;
  /** From now on each call but `watch` waits until `resume`, or its signal. */
  pause(): void;
  resume(): void;
  /** The next call throws this. */
  failNext(error: unknown): void;
  /** Tells the watchers that an attachment changed, or that it failed. */
  emitChange(podInterface: PodInterface): void;
  emitFailure(podInterface: PodInterface, error: PodplugError): void;
}

/** An attachment, and who made it: an owner's name may be another one. */
interface Entry {
  readonly podInterface: PodInterface;
  readonly maker: string;
}

/**
 * A node in memory: pods, namespaces and networks exist when they are named
 * here, and attaching means to remember. It keeps the rules of names, owners
 * and idempotence, and has no kernel, so nothing else ever fails. `plain` are
 * the networks whose plugins declare no capability, and with `leases` each
 * attachment has an address, whether or not it asked for one.
 */
export function createFakeNode(
  options: {
    targets?: readonly string[];
    networks?: readonly string[];
    plain?: readonly string[];
    leases?: boolean;
    now?: () => Date;
  } = {},
): FakeNode {
  const {
    targets = ["pod demo/web", "pod demo/db", "namespace /run/netns/a", "container 4f"],
    networks = ["net-a", "net-b"],
    plain = [],
    leases = false,
    now = () => new Date(),
  } = options;
  const present = new Set(targets);
  const attached = new Map<string, Entry>();
  const callers: Caller[] = [];
  const queues = new Set<{ target: string | undefined; push(event: InterfaceEvent): void }>();
  let ids = 0;
  let waiting = 0;
  let gate = Promise.withResolvers<void>();
  let failure: { error: unknown } | undefined;
  gate.resolve();

  function emit(event: Exclude<InterfaceEvent, { kind: "synced" }>): void {
    for (const queue of queues) {
      if (queue.target === undefined || queue.target === event.interface.sandboxId) queue.push(event);
    }
  }

  async function enter(signal: AbortSignal): Promise<void> {
    waiting += 1;
    try {
      await unlessAborted(gate.promise, signal, "waiting for the fake");
    } finally {
      waiting -= 1;
    }
    const failing = failure;
    failure = undefined;
    if (failing) throw failing.error;
  }

  function locate(target: Target): string {
    const name = describeTarget(target);
    if (!present.has(name)) throw new PodplugError("TARGET_NOT_FOUND", `there is no ${name}`);
    return name;
  }

  function inSandbox(sandboxId: string | undefined): PodInterface[] {
    const all = [...attached.values()].map(({ podInterface }) => podInterface);
    return sandboxId === undefined ? all : all.filter((each) => each.sandboxId === sandboxId);
  }

  function choose(target: Target | undefined, which: AttachmentChoice): PodInterface | undefined {
    const chosen = inSandbox(target && locate(target)).filter((each) => {
      if (which.by === "interface") return each.name === which.interface;
      if (which.by === "id") return each.attachmentId === which.attachmentId;
      return each.network === which.network || each.network.endsWith(`/${which.network}`);
    });
    if (chosen.length > 1) throw new PodplugError("INVALID_REQUEST", "several attachments have this network");
    return chosen[0];
  }

  function select(request: AttachRequest): NetworkSelection {
    const selection = normalizeSelection(request.network);
    const { name } = selection;
    if (name !== undefined && !networks.includes(name)) {
      throw new PodplugError("NETWORK_NOT_FOUND", `there is no network ${name}`);
    }
    if (name !== undefined && plain.includes(name) && (selection.mac ?? selection.ips)) {
      throw new PodplugError("CAPABILITY_NOT_DECLARED", `network ${name} declares no capability`);
    }
    return selection;
  }

  function attach(request: AttachRequest, caller: Caller): AttachAnswer {
    const sandboxId = locate(request.target);
    const owner = request.owner ?? caller.name;
    if (isReservedOwner(owner) && !caller.reconciler) {
      throw new PodplugError("OWNER_RESERVED", `owner ${owner} is reserved`);
    }
    const selection = select(request);
    const neighbours = inSandbox(sandboxId);
    const wanted = canonicalJson(selection);
    const same = neighbours.find((each) => {
      if (selection.interface) return each.name === selection.interface;
      if (each.owner !== owner || each.key !== (request.key ?? "")) return false;
      return request.key !== undefined || canonicalJson(each.selection) === wanted;
    });
    if (same?.owner === owner && canonicalJson(same.selection) === wanted) {
      return { interface: same, created: false };
    }
    if (same && !(request.replace && same.owner === owner)) {
      throw new PodplugError("INTERFACE_IN_USE", `interface ${same.name} is in use`);
    }
    const name =
      selection.interface ?? same?.name ?? lowestFreeNetName(new Set(neighbours.map((each) => each.name)));
    const view = describe(request, { sandboxId, owner, selection, name });
    if (request.validateOnly) return { interface: view, created: false };
    ids += 1;
    const attachmentId = `fake-${ids}`;
    const podInterface: PodInterface = { ...view, state: "attached", attachedAt: now(), attachmentId };
    if (same) attached.delete(same.attachmentId);
    attached.set(attachmentId, { podInterface, maker: caller.name });
    emit({ kind: same ? "changed" : "attached", interface: podInterface });
    return { interface: podInterface, created: true };
  }

  function describe(
    { target, key }: AttachRequest,
    known: { sandboxId: string; owner: string; selection: NetworkSelection; name: string },
  ): PodInterface {
    const { selection } = known;
    const pod = target.kind === "pod" ? target.pod : undefined;
    return {
      ...known,
      pod,
      netns: target.kind === "netns" ? target.netns : "/run/netns/fake",
      mac: selection.mac ?? "0a:58:0a:00:00:01",
      ips: selection.ips ?? (leases ? [`10.88.0.${10 + ids}/24`] : []),
      gateways: leases ? ["10.88.0.1"] : [],
      mtu: 1500,
      up: true,
      index: 10 + ids,
      network: selection.name
        ? [selection.namespace ?? pod?.namespace, selection.name].filter(Boolean).join("/")
        : "inline",
      origin: "podplug",
      deviceId: selection.deviceId ?? "",
      attachmentId: "",
      key: key ?? "",
      cniResult: { cniVersion: "1.1.0", interfaces: [] },
    };
  }

  function detach(request: DetachRequest, caller: Caller): DetachAnswer {
    const { target, which, force } = request;
    if (which.by === "interface" && which.interface === "lo") {
      throw new PodplugError("NOT_DETACHABLE", "lo is the pod's own");
    }
    const chosen = choose(target, which);
    if (!chosen) return { detached: false };
    const mine = chosen.owner === caller.name || attached.get(chosen.attachmentId)?.maker === caller.name;
    if (!mine && !force) {
      throw new PodplugError("OWNED_BY_OTHER", `interface ${chosen.name} belongs to ${chosen.owner}`);
    }
    attached.delete(chosen.attachmentId);
    emit({ kind: "detached", interface: chosen });
    return { detached: true, interface: chosen };
  }

  async function* watch(request: ListRequest, signal: AbortSignal): AsyncIterable<InterfaceEvent> {
    const target = request.target && locate(request.target);
    const events: InterfaceEvent[] = [
      ...inSandbox(target).map((each) => ({ kind: "present" as const, interface: each })),
      { kind: "synced" },
    ];
    let wake = Promise.withResolvers<void>();
    const queue = {
      target,
      push(event: InterfaceEvent) {
        events.push(event);
        wake.resolve();
      },
    };
    const onAbort = (): void => wake.resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    queues.add(queue);
    try {
      while (!signal.aborted) {
        const event = events.shift();
        if (event) {
          yield event;
        } else {
          wake = Promise.withResolvers();
          await wake.promise;
        }
      }
    } finally {
      queues.delete(queue);
      signal.removeEventListener("abort", onAbort);
    }
  }

  function apiFor(caller: Caller): NodeApi {
    callers.push(caller);
    return {
      async attach(request, signal) {
        await enter(signal);
        return attach(request, caller);
      },
      async detach(request, signal) {
        await enter(signal);
        return detach(request, caller);
      },
      async list(request, signal) {
        await enter(signal);
        return inSandbox(request.target && locate(request.target));
      },
      watch,
      async check(request, signal) {
        await enter(signal);
        const which = { by: "interface", interface: request.interface } as const;
        if (!choose(request.target, which)) {
          throw new PodplugError("ATTACHMENT_NOT_FOUND", `no attachment has interface ${request.interface}`);
        }
      },
      async info(signal) {
        await enter(signal);
        return {
          nodeName: "fake-node",
          version: "0.0.0",
          runtime: "fake",
          executor: "fake",
          cniVersions: ["1.0.0", "1.1.0"],
        };
      },
    };
  }

  return {
    apiFor,
    callers,
    addTarget(target) {
      present.add(describeTarget(target));
    },
    get attachments() {
      return inSandbox(undefined);
    },
    targetOf(id) {
      const found = inSandbox(undefined).find(({ attachmentId }) => attachmentId === id);
      if (!found) return undefined;
      const { pod, netns } = found;
      return pod ? { kind: "pod", pod } : { kind: "netns", netns };
    },
    get watching() {
      return queues.size;
    },
    get waiting() {
      return waiting;
    },
    pause() {
      gate = Promise.withResolvers();
    },
    resume() {
      gate.resolve();
    },
    failNext(error) {
      failure = { error };
    },
    emitChange(podInterface) {
      emit({ kind: "changed", interface: podInterface });
    },
    emitFailure(podInterface, error) {
      emit({ kind: "failed", interface: { ...podInterface, state: "failed" }, failure: failureOf(error) });
    },
  };
}
