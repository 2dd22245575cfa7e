import type { Command } from "commander";
import type { InterfaceEvent } from "../../../domain/node-api.ts";
import { addScopeOptions, type ScopeFlags } from "../options/target.ts";
import { formatStreamed, isDocumentFormat } from "../output/documents.ts";
import { type ColumnOptions, interfaceCells, interfaceTitles } from "../output/interface-columns.ts";
import { columnOptions } from "../output/interface-table.ts";
import { type Cell, createTableLayout } from "../output/table.ts";
import { visible } from "../output/visible.ts";
import { type CommandHost, defineNodeCommand } from "./host.ts";
import { isInScope, readScopeOf } from "./list.ts";

export function addWatchCommand(program: Command, host: CommandHost): void {
  const command = program
    .command("watch")
    .summary("show attachments as they come and go")
    .description(
      "Shows the attachments there are (present), then synced, then every change, one per line, until interrupted.",
    )
    .usage("[options] [POD]");
  defineNodeCommand<ScopeFlags>(command, host, {
    changes: false,
    addOptions: (target) => addScopeOptions(target, host.surface),
    examples: [
      ["The pods of namespace default, and bare network namespaces", "watch", "node"],
      ["Everything there is, an object per line", "watch -A -o json"],
    ],
    async run(words, flags, invocation) {
      const scope = readScopeOf(words, flags, invocation.namespace);
      const layout = createTableLayout([usualRow]);
      const print = async (event: InterfaceEvent): Promise<void> => {
        if (isDocumentFormat(invocation.format)) {
          const { eventDocument } = await import("../output/answer-documents.ts");
          invocation.print(await formatStreamed(eventDocument(event), invocation.format));
        } else {
          invocation.print(`${layout.row(eventCells(event, columnOptions(invocation)))}\n`);
        }
      };
      if (!isDocumentFormat(invocation.format)) {
        const options = columnOptions(invocation);
        const event = { text: "EVENT", paint: invocation.colours.heading };
        invocation.print(`${layout.row([event, ...interfaceTitles(options)])}\n`);
      }
      for await (const event of invocation.api.watch({ target: scope.target }, invocation.signal)) {
        if (event.kind === "synced" || isInScope(event.interface, scope)) await print(event);
      }
      return 0;
    },
  });
}

/** Rows come one by one: the columns begin as wide as most will need them. */
const usualRow = [
  "attached",
  "/run/netns/NAME",
  "INTERFACE",
  "NETWORK",
  "192.0.2.100/24",
  "00:00:00:00:00:00",
].map((text) => ({ text }));

function eventCells(event: InterfaceEvent, options: ColumnOptions): Cell[] {
  if (event.kind === "synced") return [{ text: event.kind, paint: options.colours.quiet }];
  const cells = [{ text: event.kind }, ...interfaceCells(event.interface, options)];
  if (event.kind !== "failed") return cells;
  const { reason, message } = event.failure;
  return [...cells, { text: visible(`${reason}: ${message}`), paint: options.colours.bad }];
}
