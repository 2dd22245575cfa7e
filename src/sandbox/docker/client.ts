import { Agent } from "node:http";
import type Docker from "dockerode";
import type { z } from "zod";
import { messageOf, PodplugError } from "../../domain/errors.ts";
import { abortError, unlessAborted } from "../../domain/signals.ts";

export interface DockerClientOptions {
  readonly socketPath: string;
  /** How long one call may take. */
  readonly deadlineMs: number;
}

/** Questions to Docker, each with a deadline. UNREACHABLE for whatever isn't an answer of the given shape. */
export interface DockerClient extends Disposable {
  /** Undefined when Docker doesn't have what is asked for. */
  ask<T>(
    question: (docker: Docker, abortSignal: AbortSignal) => Promise<unknown>,
    shape: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<T | undefined>;
}

export function createDockerClient({ socketPath, deadlineMs }: DockerClientOptions): DockerClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let loaded: Promise<Docker> | undefined;

  /** Loaded at the first question: it costs a node without Docker more than all the rest. */
  async function load(): Promise<Docker> {
    const { default: Dockerode } = await import("dockerode");
    // All that DOCKER_HOST and the like would change otherwise is given. The
    // modem takes the agent, though dockerode's types don't know it.
    const options = { socketPath, agent, host: "", protocol: "http", timeout: deadlineMs } as const;
    return new Dockerode(options);
  }

  return {
    async ask(question, shape, signal) {
      const doing = "asking Docker";
      loaded ??= load();
      const docker = await unlessAborted(loaded, signal, doing);
      const late = AbortSignal.timeout(deadlineMs);
      const either = AbortSignal.any([signal, late]);
      let answer: unknown;
      try {
        answer = await unlessAborted(question(docker, either), either, doing);
      } catch (error) {
        if (signal.aborted) throw abortError(signal, doing);
        if (isNotFound(error)) return undefined;
        const why = late.aborted ? `it didn't answer within ${deadlineMs} ms` : messageOf(error).trim();
        throw new PodplugError("UNREACHABLE", `Docker at ${socketPath} can't be asked: ${why}`, {
          cause: error,
        });
      }
      const parsed = shape.safeParse(answer);
      if (parsed.success) return parsed.data;
      throw new PodplugError("UNREACHABLE", `Docker at ${socketPath} answered something else`, {
        cause: parsed.error,
      });
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && "statusCode" in error && error.statusCode === 404;
}
