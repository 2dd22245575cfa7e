import type { Caller } from "../../src/domain/attachment.ts";
import { isReservedOwner } from "../../src/domain/attachment.ts";
import { failureOf, PodplugError } from "../../src/domain/errors.ts";
import { canonicalJson } from "../../src/domain/json.ts";
import { lowestFreeNetName } from "../../src/domain/names.ts";
import type {
  AttachmentChoice,
  AttachRequest,
  InterfaceEvent,
  ListRequest,
  NodeApi,
  PodInterface,
} from "../../src/domain/node-api.ts";
import { normalizeSelection } from "../../src/domain/selection.ts";
import { unlessAborted } from "../../src/domain/signals.ts";
import { describeTarget, type Target } from "../../src/domain/target.ts";

export interface FakeNode {
  readonly apiFor: (caller: Caller) => NodeApi;
  /** Everyone who asked, in order. */
  readonly callers: readonly Caller[];
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

/**
 * A node in memory: pods, namespaces and networks exist when they are named
 * here, and attaching means to remember. It keeps the rules of names, owners
 * and idempotence, and has no kernel, so nothing else ever fails.
 */
export function createFakeNode(
  options: { targets?: readonly string[]; networks?: readonly string[]; now?: () => Date } = {},
): FakeNode {
  const {
    targets = ["pod demo/web", "pod demo/db", "namespace /run/netns/a", "container 4f"],
    networks = ["net-a", "net-b"],
    now = () => new Date(),
  } = options;
  const attached = new Map<string, PodInterface>();
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
    if (!targets.includes(name)) throw new PodplugError("TARGET_NOT_FOUND", `there is no ${name}`);
    return name;
  }

  function inSandbox(sandboxId: string | undefined): PodInterface[] {
    return [...attached.values()].filter(
      (present) => sandboxId === undefined || present.sandboxId === sandboxId,
    );
  }

  function choose(target: Target | undefined, which: AttachmentChoice): PodInterface | undefined {
    return inSandbox(target && locate(target)).find((present) => {
      if (which.by === "interface") return present.name === which.interface;
      if (which.by === "id") return present.attachmentId === which.attachmentId;
      return present.network === which.network || present.network.endsWith(`/${which.network}`);
    });
  }

  function attach(request: AttachRequest, caller: Caller) {
    const sandboxId = locate(request.target);
    const selection = normalizeSelection(request.network);
    const owner = request.owner ?? caller.name;
    if (isReservedOwner(owner) && !caller.reconciler) {
      throw new PodplugError("OWNER_RESERVED", `owner ${owner} is reserved`);
    }
    if (selection.name !== undefined && !networks.includes(selection.name)) {
      throw new PodplugError("NETWORK_NOT_FOUND", `there is no network ${selection.name}`);
    }
    const neighbours = inSandbox(sandboxId);
    const wanted = canonicalJson(selection);
    const present = neighbours.find((other) =>
      selection.interface
        ? other.name === selection.interface
        : other.owner === owner &&
          (request.key ? other.key === request.key : canonicalJson(other.selection) === wanted),
    );
    if (present?.owner === owner && canonicalJson(present.selection) === wanted) {
      return { interface: present, created: false };
    }
    if (present && !(request.replace && present.owner === owner)) {
      throw new PodplugError("INTERFACE_IN_USE", `interface ${present.name} is in use`);
    }
    const namespace =
      selection.namespace ?? (request.target.kind === "pod" ? request.target.pod.namespace : undefined);
    const podInterface: PodInterface = {
      pod: request.target.kind === "pod" ? request.target.pod : undefined,
      sandboxId,
      netns: request.target.kind === "netns" ? request.target.netns : "/run/netns/fake",
      name: selection.interface ?? lowestFreeNetName(new Set(neighbours.map(({ name }) => name))),
      mac: selection.mac ?? "0a:58:0a:00:00:01",
      ips: selection.ips ?? [],
      gateways: [],
      mtu: 1500,
      up: true,
      index: 10 + ids,
      network: selection.name ? [namespace, selection.name].filter(Boolean).join("/") : "inline",
      origin: "podplug",
      state: "attached",
      attachedAt: now(),
      deviceId: selection.deviceId ?? "",
      attachmentId: `fake-${(ids += 1)}`,
      owner,
      key: request.key ?? "",
      selection,
      cniResult: { cniVersion: "1.1.0", interfaces: [] },
    };
    if (request.validateOnly) return { interface: podInterface, created: false };
    if (present) attached.delete(present.attachmentId);
    attached.set(podInterface.attachmentId, podInterface);
    emit({ kind: present ? "changed" : "attached", interface: podInterface });
    return { interface: podInterface, created: true };
  }

  async function* watch(request: ListRequest, signal: AbortSignal): AsyncIterable<InterfaceEvent> {
    const target = request.target && locate(request.target);
    const events: InterfaceEvent[] = [
      ...inSandbox(target).map((present) => ({ kind: "present" as const, interface: present })),
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
        const present = choose(request.target, request.which);
        if (!present) return { detached: false };
        if (present.owner !== caller.name && !request.force) {
          throw new PodplugError("OWNED_BY_OTHER", `interface ${present.name} belongs to ${present.owner}`);
        }
        attached.delete(present.attachmentId);
        emit({ kind: "detached", interface: present });
        return { detached: true, interface: present };
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
