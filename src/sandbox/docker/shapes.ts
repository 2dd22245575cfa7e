import { z } from "zod";

/** What is read of Docker's answers; they hold more. */

export const versionShape = z.object({ Version: z.string() });

const labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((given) => given ?? {});

export const summariesShape = z.array(
  z.object({
    Id: z.string(),
    /** Seconds since 1970. */
    Created: z.int(),
    State: z.string(),
    Labels: labels,
    HostConfig: z.object({ NetworkMode: z.string().default("") }),
  }),
);

export const containerShape = z.object({
  Id: z.string(),
  Created: z.iso.datetime({ offset: true }),
  /** Pid is 0 unless it runs. */
  State: z.object({ Running: z.boolean(), Pid: z.int() }),
  Config: z.object({ Labels: labels }),
  HostConfig: z.object({ NetworkMode: z.string(), Runtime: z.string().default("") }),
  /** SandboxKey is the namespace's file; empty for a container in another's network, and for a stopped one. */
  NetworkSettings: z.object({ SandboxKey: z.string().default("") }),
});

export type DockerSummary = z.output<typeof summariesShape>[number];
export type DockerContainer = z.output<typeof containerShape>;
