import { z } from "zod";

/** What a verbose status tells of the namespace and of what runs the sandbox. */
export interface SandboxInfo {
  /** The most lasting first. */
  readonly netnsPaths: readonly string[];
  readonly runtimeType?: string | undefined;
}

/** The part that containerd and CRI-O share; each has more. What is of another type counts as not there. */
const infoSchema = z.object({
  pid: z.int().positive().optional().catch(undefined),
  runtimeType: z.string().optional().catch(undefined),
  runtimeSpec: z
    .object({
      linux: z.object({
        namespaces: z.array(z.object({ type: z.string(), path: z.string().optional() })),
      }),
    })
    .optional()
    .catch(undefined),
});

/**
 * Reads the JSON that both keep under `info`: the namespace stands in the
 * sandbox's OCI specification (containerd's under /var/run/netns/cni-…,
 * CRI-O's under /run/netns/…), and its first process, when it has one, is in
 * it.
 */
export function parseSandboxInfo(info: Readonly<Record<string, string>>): SandboxInfo {
  const parsed = infoSchema.safeParse(parseJson(info["info"] ?? ""));
  if (!parsed.success) return { netnsPaths: [] };
  const { pid, runtimeType, runtimeSpec } = parsed.data;
  const path = runtimeSpec?.linux.namespaces.find(({ type }) => type === "network")?.path;
  const netnsPaths = [...(path ? [path] : []), ...(pid === undefined ? [] : [`/proc/${pid}/ns/net`])];
  return { netnsPaths, runtimeType };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
