import { stat } from "node:fs/promises";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import { neverAborted, unlessAborted } from "../domain/signals.ts";
import type { SandboxLocator } from "./contract.ts";
import type { RuntimeLocatorOptions } from "./runtime-locator.ts";

/** Where containerd, CRI-O, cri-dockerd and k3s' containerd listen unless told otherwise. */
export const usualCriSocketPaths: readonly string[] = [
  "/run/containerd/containerd.sock",
  "/run/crio/crio.sock",
  "/run/cri-dockerd.sock",
  "/run/k3s/containerd/containerd.sock",
];

export interface AutoLocatorOptions extends RuntimeLocatorOptions {
  readonly criSocketPaths?: readonly string[] | undefined;
  /** Looked for after the others, and for the pods of cri-dockerd; not at all when not given. */
  readonly dockerSocketPath?: string | undefined;
  /** How long a runtime has for one answer. */
  readonly deadlineMs?: number | undefined;
}

export interface AutoLocator extends SandboxLocator, Disposable {}

/**
 * The locator of whichever runtime this node has: the first whose socket is
 * there and answers, found at the first question and kept from then on.
 * UNREACHABLE until one is found, so that the agent may start before it; and
 * as long as one is there that doesn't answer, so that a runtime that is
 * starting or stuck isn't taken for none and another one used in its place.
 */
export function createAutoLocator(options: AutoLocatorOptions): AutoLocator {
  let finding: Promise<SandboxLocator & Disposable> | undefined;
  let found: (SandboxLocator & Disposable) | undefined;
  let disposed = false;

  async function find(): Promise<SandboxLocator & Disposable> {
    try {
      const { locator, socketPath } = await findLocator(options);
      options.log.info({ socketPath }, "found the container runtime");
      if (disposed) locator[Symbol.dispose]();
      else found = locator;
      return locator;
    } finally {
      finding = undefined;
    }
  }

  async function use(signal: AbortSignal): Promise<SandboxLocator> {
    if (found) return found;
    finding ??= find();
    return await unlessAborted(finding, signal, "looking for the container runtime");
  }

  return {
    describe: async (signal) => await (await use(signal)).describe(signal),
    locate: async (target, signal) => await (await use(signal)).locate(target, signal),
    list: async (signal) => await (await use(signal)).list(signal),
    [Symbol.dispose]() {
      disposed = true;
      found?.[Symbol.dispose]();
    },
  };
}

async function findLocator({
  criSocketPaths = usualCriSocketPaths,
  dockerSocketPath,
  ...options
}: AutoLocatorOptions): Promise<{ locator: SandboxLocator & Disposable; socketPath: string }> {
  const tried = dockerSocketPath === undefined ? criSocketPaths : [...criSocketPaths, dockerSocketPath];
  for (const socketPath of criSocketPaths) {
    if (!(await isSocket(socketPath))) continue;
    const name = await criRuntimeName(socketPath, options);
    if (name === undefined) continue;
    // cri-dockerd doesn't say where its namespaces are; Docker does.
    if (name === "docker" && dockerSocketPath !== undefined) break;
    const { createCriLocator } = await import("./cri.ts");
    return { locator: createCriLocator({ ...options, socketPath }), socketPath };
  }
  if (dockerSocketPath !== undefined && (await isSocket(dockerSocketPath))) {
    const { createDockerLocator } = await import("./docker.ts");
    const locator = createDockerLocator({ ...options, socketPath: dockerSocketPath });
    try {
      await locator.describe(neverAborted);
      return { locator, socketPath: dockerSocketPath };
    } catch (error) {
      locator[Symbol.dispose]();
      throw error;
    }
  }
  throw new PodplugError(
    "UNREACHABLE",
    `no container runtime is there: none of ${tried.join(", ")} is a socket that speaks for one; runtime netns needs none`,
  );
}

/** Undefined for what answers but speaks no CRI, as containerd does where only Docker uses it. */
async function criRuntimeName(
  socketPath: string,
  options: RuntimeLocatorOptions & { readonly deadlineMs?: number | undefined },
): Promise<string | undefined> {
  const { createCriLocator } = await import("./cri.ts");
  using locator = createCriLocator({ ...options, socketPath });
  try {
    return await locator.runtimeName(neverAborted);
  } catch (error) {
    if (error instanceof PodplugError && error.reason === "UNSUPPORTED") return undefined;
    throw error;
  }
}

async function isSocket(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket();
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT" || systemCodeOf(error) === "ENOTDIR") return false;
    throw new PodplugError("UNREACHABLE", `can't look for a container runtime: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
