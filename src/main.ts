import { basename } from "node:path";
import { inspect } from "node:util";
import packageJson from "../package.json" with { type: "json" };
import { runCli } from "./client/cli/program.ts";
import { createProcessIo } from "./process-io.ts";

/**
 * The podplug program. Only what a command needs is imported when it runs: a
 * call to the agent has to start fast, and the agent's own parts are large.
 */
async function main(): Promise<number> {
  const args = [...wordsOf(basename(process.argv0)), ...process.argv.slice(2)];
  if (args[0] === "podagent") {
    const { runPodagent } = await import("./agent.ts");
    return await runPodagent(args.slice(1), process);
  }
  if (args[0] === "k8contivnet") {
    const { runK8contivnet } = await import("./agent/k8contivnet.ts");
    return await runK8contivnet(args.slice(1), process);
  }
  const io = createProcessIo(process, {
    server: process.env["PODPLUG_SERVER"] || undefined,
    // no-color.org: any value but the empty one.
    noColor: Boolean(process.env["NO_COLOR"]) || process.env["TERM"] === "dumb",
  });
  if (args[0] === "kubectl") {
    const { runKubectl } = await import("./client/cli/kubectl.ts");
    return await runKubectl(args.slice(1), {
      io,
      version: packageJson.version,
      openCluster: async (where) => {
        const { openUsersCluster } = await import("./cluster.ts");
        return openUsersCluster(where);
      },
    });
  }
  return await runCli(args, {
    io,
    version: packageJson.version,
    programs: {
      agent: async (configFile) => {
        const { runAgent } = await import("./agent.ts");
        return runAgent({ configFile, env: process.env });
      },
      server: async (configFile) => {
        const { runServer } = await import("./agent.ts");
        return runServer({ configFile, env: process.env });
      },
      controller: async (configFile, server) => {
        const { runControllerProcess } = await import("./agent.ts");
        return runControllerProcess({ configFile, server, env: process.env });
      },
    },
    certificates: async (request, signal) => {
      const { provideRequested } = await import("./cluster.ts");
      return await provideRequested(request, process.env, signal);
    },
  });
}

/** A released executable is kubectl's plugin by its name; in a clone scripts in bin/ say these words. */
function wordsOf(name: string): readonly string[] {
  if (name === "kubectl-podplug") return ["kubectl"];
  return name === "kubectl_complete-podplug" ? ["kubectl", "__complete", "--"] : [];
}

// Without await, because the release is a CommonJS file. The exit code is set,
// not forced, so that pipes get all of the output.
main().then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    process.exitCode = 1;
    process.stderr.write(`podplug: a fault of podplug itself: ${inspect(error)}\n`);
  },
);
