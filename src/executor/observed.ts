import { describeNetwork } from "../cni/network-type.ts";
import { observe, type PluginVerb, type Telemetry } from "../domain/telemetry.ts";
import type { Executor } from "./contract.ts";

interface Chain {
  readonly config: string;
  readonly containerId?: string;
  readonly ifName?: string;
}

/** The same executor, telling how long each network's plugins took. */
export function observeExecutor(executor: Executor, telemetry: Telemetry): Executor {
  function chain<T>(
    verb: PluginVerb,
    { config, containerId: sandboxId, ifName }: Chain,
    run: () => Promise<T>,
  ): Promise<T> {
    const { name: network, type: networkType } = describeNetwork(config);
    return observe(telemetry, { kind: "chain", verb, network, networkType, sandboxId, ifName }, run);
  }

  return {
    ...executor,
    add: (attachment, signal) => chain("ADD", attachment, () => executor.add(attachment, signal)),
    del: (attachment, result, signal) =>
      chain("DEL", attachment, () => executor.del(attachment, result, signal)),
    check: (attachment, result, signal) =>
      chain("CHECK", attachment, () => executor.check(attachment, result, signal)),
    gc: (config, valid, signal) => chain("GC", { config }, () => executor.gc(config, valid, signal)),
  };
}
