import { type Command, InvalidArgumentError } from "commander";
import { formatDocument, isDocumentFormat } from "../output/documents.ts";
import { formatTable } from "../output/table.ts";
import { visible } from "../output/visible.ts";
import { type CommandHost, defineNodeCommand } from "./host.ts";

export function addInfoCommand(program: Command, host: CommandHost): void {
  const command = program
    .command("info")
    .summary("say which agent answers")
    .description("Says which node, version, runtime and executor answer at the server's address.")
    .usage("[options]");
  defineNodeCommand<object>(command, host, {
    changes: false,
    addOptions: (same) => same,
    examples: [
      ["The agent of this node", "info"],
      ["Another node's, by its TLS port", "info --server https://node-1:7654 --ca ca.crt --token-file token"],
    ],
    async run(words, _flags, invocation) {
      if (words.length > 0) throw new InvalidArgumentError(`too many arguments: ${words.join(" ")}`);
      const info = await invocation.waitFor("asking the agent", () => invocation.api.info(invocation.signal));
      if (isDocumentFormat(invocation.format)) {
        const { nodeInfoDocument } = await import("../output/answer-documents.ts");
        invocation.print(await formatDocument(nodeInfoDocument(info), invocation.format));
        return 0;
      }
      const facts: [string, string][] = [
        ["NODE", info.nodeName],
        ["VERSION", info.version],
        ["RUNTIME", info.runtime],
        ["EXECUTOR", info.executor],
        ["CNI VERSIONS", info.cniVersions.join(", ")],
      ];
      invocation.print(
        formatTable(
          facts.map(([title, text]) => [
            { text: title, paint: invocation.colours.heading },
            { text: visible(text) || "-" },
          ]),
        ),
      );
      return 0;
    },
  });
}
