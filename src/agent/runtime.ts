import type { Config } from "../config.ts";
import { systemClock } from "../domain/clock.ts";
import type { SeenAt } from "../domain/host-path.ts";
import type { Logger } from "../domain/log.ts";
import type { InterfaceReader } from "../interfaces/contract.ts";
import type { SandboxLocator } from "../sandbox/contract.ts";
import { createNetnsLocator } from "../sandbox/netns-files.ts";

export interface LocatorParts {
  readonly interfaces: InterfaceReader;
  /** `config` has the other paths already as they are seen. */
  readonly seenAt: SeenAt;
  readonly log: Logger;
}

/** The locator of the configured runtime; only that one's packages are loaded. */
export async function createLocator(
  config: Config,
  { interfaces, seenAt, log }: LocatorParts,
): Promise<SandboxLocator & Partial<Disposable>> {
  const { criSocketPath, dockerSocketPath, pluggableHandlers } = config;
  const options = { interfaces, clock: systemClock, log, pluggableHandlers };
  switch (config.runtime) {
    case "netns":
      return createNetnsLocator({ interfaces, seenAt });
    case "docker": {
      const { createDockerLocator } = await import("../sandbox/docker.ts");
      return createDockerLocator({ ...options, socketPath: dockerSocketPath });
    }
    case "cri": {
      if (criSocketPath === "") break;
      const { createCriLocator } = await import("../sandbox/cri.ts");
      return createCriLocator({ ...options, socketPath: seenAt(socketPathOf(criSocketPath)) });
    }
    case "auto":
  }
  const { createAutoLocator, usualCriSocketPaths } = await import("../sandbox/auto.ts");
  return createAutoLocator({
    ...options,
    criSocketPaths: (criSocketPath === "" ? usualCriSocketPaths : [socketPathOf(criSocketPath)]).map(seenAt),
    dockerSocketPath: config.runtime === "auto" ? dockerSocketPath : undefined,
  });
}

/** Kubelet and crictl name the socket as a URL. */
function socketPathOf(text: string): string {
  return text.replace(/^unix:\/\//, "");
}
