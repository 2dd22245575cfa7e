import { PodplugError } from "../domain/errors.ts";
import type { InterfaceEvent, ListRequest, NodeApi, PodInterface } from "../domain/node-api.ts";
import type { NetworkSource } from "../domain/selection.ts";
import type { Target } from "../domain/target.ts";
import { accessTo, attachAccesses, detachAccesses } from "./auth/accesses.ts";
import type { Access, Authorizer, Identity, Verb } from "./auth/contract.ts";

export interface Authorization {
  readonly identity: Identity;
  readonly authorizer: Authorizer;
  /** Where this node looks names up. */
  readonly sources: readonly NetworkSource[];
  /** Where an attachment is; undefined when there is none of that ID. */
  readonly targetOf: (attachmentId: string) => Target | undefined;
  /** Throws once the caller's credentials no longer hold: a watch lasts longer than they may. */
  readonly reauthenticate: (signal: AbortSignal) => Promise<void>;
}

/**
 * The same node as far as a caller may use it: each call is DENIED unless all
 * that it needs is allowed, and lists and watches show what the caller may see:
 * others' inline configurations to those alone who may give one.
 */
export function authorize(api: NodeApi, authorization: Authorization): NodeApi {
  const { identity, authorizer, sources, targetOf, reauthenticate } = authorization;

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

  /** A configuration may hold a secret of whoever gave it. */
  async function shown(view: PodInterface, signal: AbortSignal): Promise<PodInterface> {
    const { selection, owner, pod } = view;
    if (selection?.config === undefined || owner === identity.name) return view;
    const where = pod && { namespace: pod.namespace, name: pod.name };
    const { allowed } = await authorizer(
      identity,
      { verb: "create", resource: "podnetworks/config", ...where },
      signal,
    );
    if (allowed) return view;
    const { config: _config, ...rest } = selection;
    return { ...view, selection: rest };
  }

  async function list(request: ListRequest, signal: AbortSignal): Promise<readonly PodInterface[]> {
    if (request.target) {
      await demand([accessTo("list", request.target)], signal);
      const views = await api.list(request, signal);
      return await Promise.all(views.map((view) => shown(view, signal)));
    }
    const all = await api.list(request, signal);
    const seen = await Promise.all(
      all.map(async (view) => ((await maySee("list", view, signal)) ? [await shown(view, signal)] : [])),
    );
    return seen.flat();
  }

  async function* watch(request: ListRequest, signal: AbortSignal): AsyncIterable<InterfaceEvent> {
    const { target } = request;
    if (target) await demand([accessTo("watch", target)], signal);
    for await (const event of api.watch(request, signal)) {
      if (signal.aborted) return;
      await reauthenticate(signal);
      if (event.kind === "synced") {
        yield event;
        continue;
      }
      if (target) await demand([accessTo("watch", target)], signal);
      else if (!(await maySee("watch", event.interface, signal))) continue;
      yield { ...event, interface: await shown(event.interface, signal) };
    }
  }

  return {
    async attach(request, signal) {
      await demand(attachAccesses(request, sources), signal);
      const answer = await api.attach(request, signal);
      return { ...answer, interface: await shown(answer.interface, signal) };
    },
    async detach(request, signal) {
      const { which } = request;
      const target = request.target ?? (which.by === "id" ? targetOf(which.attachmentId) : undefined);
      if (!target && which.by === "id") return { detached: false };
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
