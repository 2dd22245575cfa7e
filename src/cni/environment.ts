import { PodplugError } from "../domain/errors.ts";
import type { CniCommand } from "./plugin-outcome.ts";

/** One attachment's parameters, the same for ADD, CHECK and DEL (spec 1.1.0, section 3, "Attachment Parameters"). */
export interface AttachmentParameters {
  readonly containerId: string;
  readonly ifName: string;
  /** Absent for a DEL whose namespace is gone. */
  readonly netnsPath?: string | undefined;
  readonly cniArgs: readonly (readonly [key: string, value: string])[];
}

/** What goes with a command that isn't about an attachment (GC, STATUS). */
export const noAttachment: AttachmentParameters = { containerId: "", ifName: "", cniArgs: [] };

/**
 * What VERSION is asked with: plugins built against the library's first
 * versions refuse every command without these (libcni does the same).
 */
export const anyAttachment: AttachmentParameters = {
  containerId: "dummy",
  ifName: "dummy",
  netnsPath: "dummy",
  cniArgs: [],
};

/**
 * A plugin's environment (spec 1.1.0, section 2, "Parameters"). All six
 * variables are set always: one that the command does without is empty, which
 * plugins take for absent, and so can't be inherited from the agent's own
 * surroundings. A DEL without namespace has its CNI_NETNS empty for this
 * reason. Throws INVALID_REQUEST for arguments that would read as others.
 */
export function pluginEnvironment(
  command: CniCommand,
  { containerId, ifName, netnsPath = "", cniArgs }: AttachmentParameters,
  binDirs: readonly string[],
  inherited: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment = {
    ...inherited,
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netnsPath,
    CNI_IFNAME: ifName,
    CNI_ARGS: joinArgs(cniArgs),
    CNI_PATH: binDirs.join(":"),
  };
  for (const [name, value] of Object.entries(environment)) {
    if (value.includes("\0")) throw new PodplugError("INVALID_REQUEST", `${name} holds a NUL character`);
  }
  return environment;
}

function joinArgs(args: AttachmentParameters["cniArgs"]): string {
  for (const [key, value] of args) {
    if (key === "" || /[;=]/.test(key) || value.includes(";")) {
      const message = `CNI argument ${JSON.stringify(key)} can't be written as KEY=VALUE between semicolons`;
      throw new PodplugError("INVALID_REQUEST", message);
    }
  }
  return args.map(([key, value]) => `${key}=${value}`).join(";");
}
