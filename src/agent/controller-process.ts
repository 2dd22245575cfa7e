import { createNodeClient } from "../client/node-client.ts";
import type { Config } from "../config.ts";
import { refuseContradictions } from "../config.ts";
import type { Logger } from "../domain/log.ts";
import { controllerKeyFile } from "./controller-key.ts";
import { podsAreKnown } from "./health.ts";
import { createHostPaths, withPathsSeen } from "./host-paths.ts";
import { openIntent } from "./intent.ts";
import { connectKubernetes } from "./kubernetes.ts";
import { nodeNameOf } from "./node-name.ts";
import { startObservation } from "./observation.ts";
import { type ProgramOptions, runUntilStopped } from "./until-stopped.ts";

/**
 * `podplug controller`: the watcher alone, a client of the `podplug server`
 * behind `server`, whose state directory holds the key that it shows there.
 * Runs until SIGTERM or SIGINT and resolves with the exit code.
 */
export async function runControllerProcess(
  options: ProgramOptions & { readonly server: string },
): Promise<number> {
  const { env, server } = options;
  return await runUntilStopped({ ...options, command: "controller" }, (config, log) =>
    startController({ config, env, server, log }),
  );
}

async function startController(options: {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly server: string;
  readonly log: Logger;
}) {
  const { env, server, log } = options;
  refuseContradictions(options.config);
  const config = withPathsSeen(options.config, createHostPaths(options.config.hostRoot));
  await using cleanup = new AsyncDisposableStack();
  const nodeName = nodeNameOf(config, env);
  const { ops, otlp } = config;
  const observation = cleanup.use(
    await startObservation({ listen: ops.controllerListen, otlp, nodeName, log }),
  );
  const { health, telemetry } = observation;
  const keyFile = controllerKeyFile(config.stateDir);
  const client = cleanup.use(createNodeClient({ server, controllerKeyFile: keyFile }));
  const intent = openIntent(config, nodeName, log);
  const kubernetes = cleanup.use(await connectKubernetes({ config, env, nodeName, intent, log, telemetry }));
  const stopped = new AbortController();
  const known = podsAreKnown(kubernetes.pods, stopped.signal);
  health.require("pods", known.check);
  health.require("server", async (signal) => {
    await client.info(signal);
    return undefined;
  });
  health.enter("serving");
  const ended = kubernetes.control(client, stopped.signal);
  const held = cleanup.move();
  return {
    facts: { server, nodeName, ops: observation.address },
    ended,
    async stop() {
      await using _ = held;
      health.enter("stopping");
      stopped.abort();
      await Promise.all([ended, known.following]);
    },
  };
}
