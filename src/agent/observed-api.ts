import { randomUUID } from "node:crypto";
import type { NodeApi } from "../domain/node-api.ts";
import { observe, type Telemetry } from "../domain/telemetry.ts";

/** The engine's API for the agent's own controller: its calls are told as those of any other client. */
export function observeApi(api: NodeApi, telemetry: Telemetry): NodeApi {
  const call = <T>(method: string, run: () => Promise<T>): Promise<T> =>
    observe(telemetry, { kind: "call", method, transport: "process", requestId: randomUUID() }, run);
  return {
    attach: (request, signal) => call("AttachNetwork", () => api.attach(request, signal)),
    detach: (request, signal) => call("DetachNetwork", () => api.detach(request, signal)),
    list: (request, signal) => call("ListInterfaces", () => api.list(request, signal)),
    check: (request, signal) => call("CheckNetwork", () => api.check(request, signal)),
    info: (signal) => call("GetNodeInfo", () => api.info(signal)),
    // Held as long as the agent runs: there is nothing to tell of it.
    watch: (request, signal) => api.watch(request, signal),
  };
}
