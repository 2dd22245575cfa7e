import { asPodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { InterfaceEvent, NodeApi, PodInterface } from "../domain/node-api.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import type { Target } from "../domain/target.ts";
import type { Identity } from "./auth/contract.ts";

/** Of whom the line is, as far as it is known. */
export interface AuditedCaller {
  readonly identity?: Pick<Identity, "name" | "by" | "groups"> | undefined;
  readonly remoteAddress?: string | undefined;
  /** For what is refused before it is a call, by which the log would know it. */
  readonly requestId?: string | undefined;
}

/** What was asked for, in words that hold no secret: neither CNI arguments nor configurations. */
interface Question {
  readonly method: string;
  readonly target?: Target | undefined;
  readonly network?: string | undefined;
  readonly interface?: string | undefined;
  readonly attachmentId?: string | undefined;
  readonly options?: readonly string[] | undefined;
}

export interface Audit {
  /** The same node, with a line for each call that changes something or is refused. */
  of(api: NodeApi, caller: AuditedCaller): NodeApi;
  /** A call that didn't come in. */
  turnedAway(method: string, caller: AuditedCaller, thrown: unknown): void;
}

export function createAudit(log: Logger): Audit {
  function write(caller: AuditedCaller, question: Question, facts: object): void {
    const { identity, remoteAddress, requestId } = caller;
    const { target, ...asked } = question;
    const who = { caller: identity?.name, groups: identity?.groups, authenticated: identity?.by ?? "no" };
    const line = { ...who, remoteAddress, ...asked, ...(target && wordsOf(target)), ...facts };
    log.info(requestId === undefined ? line : { requestId, ...line }, "audit");
  }

  function writeFailure(caller: AuditedCaller, question: Question, thrown: unknown, ms?: number): void {
    const { reason, kind, message } = asPodplugError(thrown);
    // What a plugin said may hold anything; why somebody was refused are our own words.
    const why = kind === "denied" || kind === "unauthenticated" ? { message } : {};
    write(caller, question, { outcome: reason, ...why, durationMs: ms });
  }

  return {
    turnedAway(method, caller, thrown) {
      if (isRefusal(thrown)) writeFailure(caller, { method }, thrown);
    },
    of(api, caller) {
      async function told<T>(
        question: Question,
        call: Promise<T>,
        changed: (
          answer: T,
        ) => { readonly view: PodInterface | undefined; readonly outcome: string } | undefined,
      ): Promise<T> {
        const begun = performance.now();
        const elapsed = (): number => Math.round(performance.now() - begun);
        try {
          const answer = await call;
          const change = changed(answer);
          if (change) {
            const { view, outcome } = change;
            write(caller, question, { ...(view && wordsOfView(view)), outcome, durationMs: elapsed() });
          }
          return answer;
        } catch (thrown) {
          const mutates = question.method === "AttachNetwork" || question.method === "DetachNetwork";
          if ((mutates && !isAdoptionInVain(thrown)) || isRefusal(thrown))
            writeFailure(caller, question, thrown, elapsed());
          throw thrown;
        }
      }

      async function* watched(target: Target | undefined, events: AsyncIterable<InterfaceEvent>) {
        try {
          yield* events;
        } catch (thrown) {
          if (isRefusal(thrown)) writeFailure(caller, { method: "WatchInterfaces", target }, thrown);
          throw thrown;
        }
      }

      const nothing = (): undefined => undefined;
      return {
        attach(request, signal) {
          const { target, network, validateOnly, replace } = request;
          const options = [...(validateOnly ? ["validateOnly"] : []), ...(replace ? ["replace"] : [])];
          const question = {
            method: "AttachNetwork",
            target,
            network: nameOf(network),
            interface: network.interface,
            options,
          };
          return told(question, api.attach(request, signal), ({ interface: view, created }) => ({
            view,
            outcome: validateOnly ? "VALID" : created ? "ATTACHED" : "PRESENT",
          }));
        },
        detach(request, signal) {
          const { target, which, force } = request;
          const chosen =
            which.by === "id"
              ? { attachmentId: which.attachmentId }
              : which.by === "network"
                ? { network: which.network }
                : { interface: which.interface };
          const question = { method: "DetachNetwork", target, ...chosen, options: force ? ["force"] : [] };
          return told(question, api.detach(request, signal), ({ interface: view, detached }) => ({
            view,
            outcome: detached ? "DETACHED" : "ABSENT",
          }));
        },
        list: (request, signal) =>
          told({ method: "ListInterfaces", target: request.target }, api.list(request, signal), nothing),
        watch: ({ target }, signal) => watched(target, api.watch({ target }, signal)),
        check: (request, signal) => {
          const question = { method: "CheckNetwork", target: request.target, interface: request.interface };
          return told(question, api.check(request, signal), nothing);
        },
        info: (signal) => told({ method: "GetNodeInfo" }, api.info(signal), nothing),
      };
    },
  };
}

/** Nothing was to change, and the controller asks again at each look into the pod. */
function isAdoptionInVain(thrown: unknown): boolean {
  return asPodplugError(thrown).reason === "NOT_ADOPTABLE";
}

function isRefusal(thrown: unknown): boolean {
  const { kind } = asPodplugError(thrown);
  return kind === "denied" || kind === "unauthenticated";
}

function nameOf({ name, namespace, config }: NetworkSelection): string {
  if (config !== undefined) return "inline";
  return namespace === undefined ? (name ?? "") : `${namespace}/${name}`;
}

function wordsOf(target: Target): object {
  switch (target.kind) {
    case "pod":
      return { pod: `${target.pod.namespace}/${target.pod.name}` };
    case "container":
      return { container: target.containerId };
    case "netns":
      return { netns: target.netns };
  }
}

function wordsOfView({ pod, name, network, attachmentId }: PodInterface): object {
  return {
    ...(pod && wordsOf({ kind: "pod", pod })),
    interface: name,
    ...(network && { network }),
    attachmentId,
  };
}
