import { inspect } from "node:util";
import packageJson from "../package.json" with { type: "json" };
import { runCli } from "./client/cli/program.ts";
import { createProcessIo } from "./process-io.ts";

/**
 * The podplug program. Only what a command needs is imported when it runs: a
 * call to the agent has to start fast, and the agent's own parts are large.
 */
async function main(): Promise<number> {
  const args = process.argv.slice(2);
  if (args[0] === "podagent") {
    const { runPodagent } = await import("./agent.ts");
    return await runPodagent(args.slice(1), process);
  }
  if (args[0] === "k8contivnet") {
    const { runK8contivnet } = await import("./agent/k8contivnet.ts");
    return await runK8contivnet(args.slice(1), process);
  }
  return await runCli(args, {
    io: createProcessIo(process, {
      server: process.env["PODPLUG_SERVER"] || undefined,
      // no-color.org: any value but the empty one.
      noColor: Boolean(process.env["NO_COLOR"]) || process.env["TERM"] === "dumb",
    }),
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
        const { runControllerProcess } = await import("./agent/controller-process.ts");
        return runControllerProcess({ configFile, server, env: process.env });
      },
    },
    certificates: async (request, signal) => {
      const { provideRequested } = await import("./certificates-program.ts");
      return await provideRequested(request, process.env, signal);
    },
  });
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
