import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  Health,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as Status,
} from "../../gen/grpc/health/v1/health_pb.ts";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { connectErrorOf } from "../wire/errors.ts";
import { abortReasonOf } from "./errors.ts";

export interface HealthService {
  setServing(serving: boolean): void;
  serve(router: ConnectRouter, options: Parameters<ConnectRouter["service"]>[2]): void;
}

/** grpc.health.v1 for the whole server and for NodeService; not serving until it is told to. */
export function createHealthService(): HealthService {
  const names = ["", NodeService.typeName];
  let status: Status = Status.NOT_SERVING;
  let changed = Promise.withResolvers<void>();

  function statusOf(service: string): Status {
    return names.includes(service) ? status : Status.SERVICE_UNKNOWN;
  }

  async function* watch({ service }: HealthCheckRequest, { signal }: HandlerContext) {
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    let sent: Status | undefined;
    // The last status goes out before the stream ends: a server that stops
    // says NOT_SERVING first.
    for (;;) {
      const next = changed.promise;
      const present = statusOf(service);
      if (present !== sent) {
        sent = present;
        yield { status: present };
      } else if (signal.aborted) {
        throw connectErrorOf(abortReasonOf(signal));
      } else {
        await Promise.race([next, aborted.promise]);
      }
    }
  }

  return {
    setServing(serving) {
      status = serving ? Status.SERVING : Status.NOT_SERVING;
      changed.resolve();
      changed = Promise.withResolvers();
    },
    serve(router, options) {
      router.service(
        Health,
        {
          check({ service }) {
            const present = statusOf(service);
            if (present === Status.SERVICE_UNKNOWN) {
              throw new ConnectError(`no service ${service}`, Code.NotFound);
            }
            return { status: present };
          },
          list: () => ({ statuses: Object.fromEntries(names.map((name) => [name, { status }])) }),
          watch,
        },
        options,
      );
    },
  };
}
