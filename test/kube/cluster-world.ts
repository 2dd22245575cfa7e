import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../src/domain/clock.ts";
import { type Logger, silentLogger } from "../../src/domain/log.ts";
import type { Telemetry } from "../../src/domain/telemetry.ts";
import { createKubeAccess } from "../../src/kube/access.ts";
import { type ApiClientOptions, createApiClient } from "../../src/kube/api-client.ts";
import { networkStatusAnnotation } from "../../src/kube/contract.ts";
import { createDefinitionReader } from "../../src/kube/definition-reader.ts";
import { createOwnWrites } from "../../src/kube/own-writes.ts";
import { startPodFeed } from "../../src/kube/pod-feed.ts";
import { createPodStatusWriter } from "../../src/kube/status-writer.ts";
import { type ApiObject, startFakeApiServer } from "./fake-api-server.ts";

/** As the system's, but what is waited for comes a hundred times sooner. */
export const hastyClock: Clock = {
  now: () => new Date(),
  steadyMs: () => performance.now(),
  setTimer: (delayMs, action) => systemClock.setTimer(delayMs / 100, action),
};

export const nodeName = "node-1";

export function podPath(key: string): string {
  const [namespace, name] = key.split("/");
  return `/api/v1/namespaces/${namespace}/pods/${name}`;
}

/** A fake API server and podplug's ways to speak to it, with the credentials of a pod. */
export async function createClusterWorld(clientOptions: Partial<ApiClientOptions> = {}) {
  await using cleanup = new AsyncDisposableStack();
  const server = cleanup.use(await startFakeApiServer());
  const directory = await mkdtemp(join(tmpdir(), "podplug-kube-"));
  cleanup.defer(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, "ca.crt"), server.authority);
  const tokenFile = join(directory, "token");
  await writeFile(tokenFile, "first-token\n");
  const { hostname, port } = new URL(server.url);
  const access = await createKubeAccess({ kind: "in-cluster", host: hostname, port, directory });
  cleanup.use(access);
  const client = createApiClient({ access, clock: systemClock, ...clientOptions });
  const ownWrites = createOwnWrites();
  let pods = 0;
  const held = cleanup.move();

  return {
    server,
    client,
    directory,
    statusWriter: createPodStatusWriter({ client, ownWrites }),
    definitions: createDefinitionReader({ client }),
    /** Ends with the world. */
    startFeed(log: Logger = silentLogger, clock: Clock = hastyClock, telemetry?: Telemetry) {
      return held.use(
        startPodFeed({
          client,
          nodeName,
          annotations: ["k8s.v1.cni.cncf.io/networks", networkStatusAnnotation],
          ownWrites,
          clock,
          log,
          telemetry,
        }),
      );
    },
    setPod(
      key: string,
      metadata: Partial<ApiObject["metadata"]> = {},
      place: { readonly nodeName?: string; readonly phase?: string } = {},
    ): ApiObject {
      const [namespace = "", name = ""] = key.split("/");
      const before = server.get(podPath(key));
      pods += before ? 0 : 1;
      return server.put(podPath(key), {
        metadata: { namespace, name, uid: before?.metadata.uid ?? `uid-${pods}`, ...metadata },
        spec: { nodeName: place.nodeName ?? nodeName },
        status: { phase: place.phase ?? "Running" },
      });
    },
    /** A kubeconfig file for the server, as an agent reads it. */
    async writeKubeconfig(namespace?: string): Promise<string> {
      const path = join(directory, "kubeconfig");
      const cluster = { server: server.url, "certificate-authority": join(directory, "ca.crt") };
      const config = {
        "current-context": "test",
        contexts: [{ name: "test", context: { cluster: "test", user: "test", namespace } }],
        clusters: [{ name: "test", cluster }],
        users: [{ name: "test", user: { tokenFile } }],
      };
      await writeFile(path, JSON.stringify(config));
      return path;
    },
    removePod: (key: string): void => server.remove(podPath(key)),
    setToken: (token: string): Promise<void> => writeFile(tokenFile, token),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
