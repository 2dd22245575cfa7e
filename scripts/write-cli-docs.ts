/** Writes docs/cli.md from what `podplug --help` says of each command. */
import type { CliIo } from "../src/client/cli/io.ts";
import { createKubectlProgram } from "../src/client/cli/kubectl.ts";
import { createProgram } from "../src/client/cli/program.ts";
import { systemClock } from "../src/domain/clock.ts";
import { neverAborted } from "../src/domain/signals.ts";
import { writePage } from "./generated-page.ts";

const intro = `# The program

<!-- Written by scripts/write-cli-docs.ts from the commands' own help in src/client/cli: change it there, then run make docs. -->

\`podplug COMMAND\` is the agent and its command line in one program; in a clone
it is \`bin/podplug\`, or \`npx podplug\` with Node.js 22.19 or newer. These commands, options and exit codes
are promised to scripts: new ones may be added, none is renamed or removed.

**Output.** Results go to standard output, and everything else to standard
error: errors, remarks, and how long a change has been taking. \`-o json\` and
\`-o yaml\` print the API's own answers ([the proto](../proto/podplug/v1/node.proto)
in its JSON form, which leaves out what is false, 0 or empty; \`interfaces\`,
\`created\` and \`detached\` are there always). \`check\` and \`top\`, which ask several times,
have forms of their own: \`{"checks": [{"interface", "network", "ok", "failure"}]}\` and
\`{"rates": [{"pod", "interface", "network", "rxBitsPerSecond", …, "counters"}]}\`.
\`watch\` prints one JSON object per line, or one YAML document per event. Control
characters in what the node answers, such as an interface's name, are printed as \`\\u001b\`.

**Errors** say what failed and on what, the plugin and its code if one failed,
the next step, and the [reason](errors.md), a stable word. With \`-o json\` and
\`-o yaml\` an error is one line of JSON on standard error,
\`{"error": {"reason", "message", …}}\`.

**Interrupting.** Ctrl-C ends the waiting, with exit code 130. A change that had
begun on the node goes on and ends well.

**Environment.** \`PODPLUG_SERVER\` is the default of \`--server\`; \`NO_COLOR\` turns
colours off.
`;

let help = "";
const stdout = {
  columns: 100,
  write(text: string) {
    help += text;
  },
};

const io: CliIo = {
  stdout,
  stderr: stdout,
  readStdin: () => Promise.resolve(""),
  interruption: () => ({ signal: neverAborted, exitCode: () => 0 }),
  clock: systemClock,
  pause: () => Promise.resolve(),
  env: { noColor: true },
};

const program = createProgram(
  {
    io,
    version: "",
    programs: {
      agent: () => Promise.resolve(0),
      server: () => Promise.resolve(0),
      controller: () => Promise.resolve(0),
    },
    certificates: () => Promise.reject(new Error("nothing is made here")),
  },
  () => {},
);

function helpOf(command: typeof program): string {
  help = "";
  command.outputHelp();
  return `\n\`\`\`\n${help.trim()}\n\`\`\`\n`;
}

function sectionsOf(whole: typeof program): string[] {
  return whole
    .createHelp()
    .visibleCommands(whole)
    .filter((command) => command.name() !== "help")
    .map((command) => `\n## ${whole.name()} ${command.name()}\n${helpOf(command)}`);
}

const kubectl = createKubectlProgram(
  { io, version: "", openCluster: () => Promise.reject(new Error("no cluster is asked here")) },
  () => {},
);
const aboutKubectl = `
# kubectl podplug

The same commands for a whole cluster, with the user's kubeconfig:
[kubectl.md](kubectl.md) tells how it reaches the agents, and what it needs.
`;

writePage(
  "docs/cli.md",
  [
    intro,
    helpOf(program),
    ...sectionsOf(program),
    aboutKubectl,
    helpOf(kubectl),
    ...sectionsOf(kubectl),
  ].join(""),
);
