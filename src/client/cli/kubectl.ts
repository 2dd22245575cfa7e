import type { Command } from "commander";
import { createClusterSurface, type OpenCluster } from "./cluster-surface.ts";
import { addAnnotateCommand } from "./commands/annotate.ts";
import { addAttachCommand } from "./commands/attach.ts";
import { addCheckCommand } from "./commands/check.ts";
import { addDetachCommand } from "./commands/detach.ts";
import { addListCommand } from "./commands/list.ts";
import { addTopCommand } from "./commands/top.ts";
import { addWatchCommand } from "./commands/watch.ts";
import { addKubectlCompletion } from "./completion/for-kubectl.ts";
import type { CliIo } from "./io.ts";
import { createCommandLine, runProgram } from "./program.ts";

export interface KubectlOptions {
  readonly io: CliIo;
  readonly version: string;
  readonly openCluster: OpenCluster;
}

/** Runs one command line of `kubectl podplug`; its exit code. */
export async function runKubectl(args: readonly string[], options: KubectlOptions): Promise<number> {
  return await runProgram(args, options.io, (finish) => createKubectlProgram(options, finish));
}

/** The whole command line of `kubectl podplug`. */
export function createKubectlProgram(
  { io, version, openCluster }: KubectlOptions,
  finish: (exitCode: number) => void,
): Command {
  const host = { io, surface: createClusterSurface(openCluster), finish };
  return createCommandLine({
    host,
    version,
    description:
      "Plugs network interfaces into running pods, and unplugs them, by the agents of podplug on the pods' nodes.",
    addCommands(program) {
      addAttachCommand(program, host);
      addDetachCommand(program, host);
      addListCommand(program, host);
      addWatchCommand(program, host);
      addCheckCommand(program, host);
      addTopCommand(program, host);
      addAnnotateCommand(program, host, openCluster);
      addKubectlCompletion(program, host);
    },
  });
}
