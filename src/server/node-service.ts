import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { NodeService, type WatchInterfacesRequest } from "../../gen/podplug/v1/node_pb.ts";
import type { NodeApi } from "../domain/node-api.ts";
import {
  attachAnswerToProto,
  detachAnswerToProto,
  listAnswerToProto,
  nodeInfoToProto,
} from "../wire/answers.ts";
import { eventToProto } from "../wire/events.ts";
import {
  attachRequestFromProto,
  checkRequestFromProto,
  detachRequestFromProto,
  listRequestFromProto,
} from "../wire/requests.ts";
import { type Admitted, admittedOf } from "./admission.ts";
import { createCallSignal } from "./call-signal.ts";

/**
 * Serves podplug.v1.NodeService from a NodeApi. `stopping` ends the watchers,
 * `cut` the calls that are still running then; both abort with a PodplugError.
 */
export function serveNode(
  router: ConnectRouter,
  options: {
    readonly apiFor: (admitted: Admitted) => NodeApi;
    readonly maxDeadlineMs: number;
    readonly stopping: AbortSignal;
    readonly cut: AbortSignal;
    readonly call: Parameters<ConnectRouter["rpc"]>[2];
  },
): void {
  const { apiFor, maxDeadlineMs } = options;
  const { attachNetwork, detachNetwork, listInterfaces, watchInterfaces, checkNetwork, getNodeInfo } =
    NodeService.method;
  const unary = { ...options.call, shutdownSignal: options.cut };
  const stream = { ...options.call, shutdownSignal: options.stopping };

  async function call<T>(context: HandlerContext, run: (api: NodeApi, signal: AbortSignal) => Promise<T>) {
    using limited = createCallSignal(context.signal, maxDeadlineMs);
    return await run(apiFor(admittedOf(context)), limited.signal);
  }

  async function* watch(request: WatchInterfacesRequest, context: HandlerContext) {
    using limited = createCallSignal(context.signal);
    const { signal } = limited;
    for await (const event of apiFor(admittedOf(context)).watch(listRequestFromProto(request), signal)) {
      yield eventToProto(event);
    }
    // A watch whose signal aborts ends normally; its caller must hear why.
    signal.throwIfAborted();
  }

  router
    .rpc(
      attachNetwork,
      (request, context) =>
        call(context, async (api, signal) =>
          attachAnswerToProto(await api.attach(attachRequestFromProto(request), signal)),
        ),
      unary,
    )
    .rpc(
      detachNetwork,
      (request, context) =>
        call(context, async (api, signal) =>
          detachAnswerToProto(await api.detach(detachRequestFromProto(request), signal)),
        ),
      unary,
    )
    .rpc(
      listInterfaces,
      (request, context) =>
        call(context, async (api, signal) =>
          listAnswerToProto(await api.list(listRequestFromProto(request), signal)),
        ),
      unary,
    )
    .rpc(watchInterfaces, watch, stream)
    .rpc(
      checkNetwork,
      (request, context) =>
        call(context, async (api, signal) => {
          await api.check(checkRequestFromProto(request), signal);
          return {};
        }),
      unary,
    )
    .rpc(
      getNodeInfo,
      (_request, context) => call(context, async (api, signal) => nodeInfoToProto(await api.info(signal))),
      unary,
    );
}
