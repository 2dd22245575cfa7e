import { PodplugError } from "../domain/errors.ts";
import type {
  DetachRequest,
  InterfaceEvent,
  ListRequest,
  NodeApi,
  PodInterface,
} from "../domain/node-api.ts";
import type { NetworkSource } from "../domain/selection.ts";
import { accessTo, attachAccesses, detachAccesses } from "./auth/accesses.ts";
import type { Access, Authorizer, Identity, Verb } from "./auth/contract.ts";

export interface Authorization {
  readonly identity: Identity;
  readonly authorizer: Authorizer;
  /** Where this node looks names up. */
  readonly sources: readonly NetworkSource[];
  /** Throws once the caller's credentials no longer hold: a watch lasts longer than they may. */
  readonly reauthenticate: (signal: AbortSignal) => Promise<void>;
}

/**
 * The same node as far as a caller may use it: each call is DENIED unless all
 * that it needs is allowed, and lists and watches show what the caller may see.
 */
export function authorize(api: NodeApi, authorization: Authorization): NodeApi {
  const { identity, authorizer, sources, reauthenticate } = authorization;

  async function demand(accesses: readonly Access[], signal: AbortSignal): Promise<void> {
    const verdicts = await Promise.all(accesses.map((access) => authorizer(identity, access, signal)));
    for (const [index, access] of accesses.entries()) {
      const verdict = verdicts[index];
      if (verdict?.allowed !== true) throw denial(identity, access, verdict?.why ?? "nobody says so");
    }
  }

  /** Asked from the widest to the narrowest, so that who may see everything is asked about once. */
  async function mayAny(accesses: readonly Access[], signal: AbortSignal): Promise<boolean> {
    for (const access of accesses) if ((await authorizer(identity, access, signal)).allowed) return true;
    return false;
  }

  const maySee = (verb: Verb, { pod, netns, sandboxId }: PodInterface, signal: AbortSignal) =>
    mayAny(
      pod
        ? [
            { verb, resource: "podnetworks" },
            { verb, resource: "podnetworks", namespace: pod.namespace },
            { verb, resource: "podnetworks", namespace: pod.namespace, name: pod.name },
          ]
        : [
            { verb, resource: "netns", name: netns },
            { verb, resource: "containers", name: sandboxId },
          ],
      signal,
    );

  /** An attachment that is named by its ID alone belongs to some pod. */
  async function targetOf({ target, which }: DetachRequest, signal: AbortSignal) {
    if (target || which.by !== "id") return target;
    const found = (await api.list({}, signal)).find(
      ({ attachmentId }) => attachmentId === which.attachmentId,
    );
    if (!found) return undefined;
    const { pod, netns } = found;
    return pod ? ({ kind: "pod", pod } as const) : ({ kind: "netns", netns } as const);
  }

  async function list(request: ListRequest, signal: AbortSignal): Promise<readonly PodInterface[]> {
    if (request.target) {
      await demand([accessTo("list", request.target)], signal);
      return await api.list(request, signal);
    }
    const all = await api.list(request, signal);
    const seen = await Promise.all(all.map((view) => maySee("list", view, signal)));
    return all.filter((_view, index) => seen[index]);
  }

  async function* watch(request: ListRequest, signal: AbortSignal): AsyncIterable<InterfaceEvent> {
    const { target } = request;
    if (target) await demand([accessTo("watch", target)], signal);
    for await (const event of api.watch(request, signal)) {
      if (signal.aborted) return;
      await reauthenticate(signal);
      if (event.kind === "synced") yield event;
      else if (target) {
        await demand([accessTo("watch", target)], signal);
        yield event;
      } else if (await maySee("watch", event.interface, signal)) yield event;
    }
  }

  return {
    async attach(request, signal) {
      await demand(attachAccesses(request, sources), signal);
      return await api.attach(request, signal);
    },
    async detach(request, signal) {
      const target = await targetOf(request, signal);
      if (!target && request.which.by === "id") return { detached: false };
      await demand(detachAccesses(request, target), signal);
      return await api.detach(request, signal);
    },
    list,
    watch,
    async check(request, signal) {
      await demand([accessTo("get", request.target)], signal);
      await api.check(request, signal);
    },
    info: (signal) => api.info(signal),
  };
}

function denial({ name: who }: Identity, { verb, resource, namespace, name }: Access, why: string) {
  const what = [namespace, name].filter((part) => part !== undefined).join("/");
  return new PodplugError("DENIED", `${who} may not ${verb} ${resource}${what && ` ${what}`}: ${why}`);
}
