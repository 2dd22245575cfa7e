import { existsSync } from "node:fs";
import type { Cni } from "../cni/cni.ts";
import type { Config } from "../config.ts";
import { systemClock } from "../domain/clock.ts";
import type { SeenAt } from "../domain/host-path.ts";
import type { Logger } from "../domain/log.ts";
import { createExecutorByMaker } from "../executor/by-maker.ts";
import type { Executor } from "../executor/contract.ts";
import { createDirectExecutor } from "../executor/direct.ts";
import { createKactusExecutor } from "../executor/kactus.ts";
import { createMultusExecutor } from "../executor/multus.ts";
import { createMultusApi } from "../executor/multus-api.ts";

/** Where Multus's own manifests put it, the present ones and those before. */
const usualSockets = ["/run/multus/multus.sock", "/var/run/multus-cni/multus.sock"] as const;

/** The configured executor; what others made is looked after by those. */
export function createExecutor(config: Config, cni: Cni, seenAt: SeenAt, log: Logger): Executor {
  const direct = createDirectExecutor({ cni });
  // Multus may be put on the node, and taken away, while the agent runs.
  const socketPath = (): string =>
    seenAt(
      config.multusSocketPath || (usualSockets.find((path) => existsSync(seenAt(path))) ?? usualSockets[0]),
    );
  const api = createMultusApi({ socketPath });
  const multus = createMultusExecutor({ api, direct, clock: systemClock, log });
  const kactus = createKactusExecutor({ cni, direct, confDir: config.cni.confDir });
  const current = { direct, multus, kactus }[config.executor];
  return createExecutorByMaker(current, [direct, multus, kactus]);
}

/** How generated names are made: kactus knows one way only. */
export function ifNamingOf({ executor, ifNaming }: Config): Config["ifNaming"] {
  return executor === "kactus" ? "hash" : ifNaming;
}
