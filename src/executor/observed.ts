import { networkTypeOf } from "../cni/network-type.ts";
import { observe, type PluginVerb, type Telemetry } from "../domain/telemetry.ts";
import type { CniAttachment, Executor } from "./contract.ts";

/** The same executor, telling how long each network's plugins took. */
export function observeExecutor(executor: Executor, telemetry: Telemetry): Executor {
  const chain = <T>(verb: PluginVerb, attachment: CniAttachment, run: () => Promise<T>): Promise<T> => {
    const { networkName, config, containerId, ifName } = attachment;
    const networkType = networkTypeOf(config);
    return observe(
      telemetry,
      { kind: "chain", verb, network: networkName, networkType, sandboxId: containerId, ifName },
      run,
    );
  };
  return {
    ...executor,
    add: (attachment, signal) => chain("ADD", attachment, () => executor.add(attachment, signal)),
    del: (attachment, result, signal) =>
      chain("DEL", attachment, () => executor.del(attachment, result, signal)),
    check: (attachment, result, signal) =>
      chain("CHECK", attachment, () => executor.check(attachment, result, signal)),
  };
}
