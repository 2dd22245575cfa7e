import { type Command, Option } from "commander";
import type { PodInterface } from "../../../domain/node-api.ts";
import { parseDurationMs } from "../options/scalars.ts";
import { addScopeOptions, type ScopeFlags } from "../options/target.ts";
import { formatDocument, isDocumentFormat } from "../output/documents.ts";
import { formatRates, type InterfaceRates, rateDocument, ratesBetween } from "../output/rates.ts";
import { type CommandHost, defineNodeCommand } from "./host.ts";
import { isInScope, readScopeOf } from "./list.ts";

interface TopFlags extends ScopeFlags {
  readonly interval: number;
}

const defaultIntervalMs = 1000;

export function addTopCommand(program: Command, host: CommandHost): void {
  const command = program
    .command("top")
    .summary("show what interfaces carry")
    .description(
      "Shows what the interfaces of pods receive and send, as their pods see it, the busiest first:\nlooks twice, and tells what came between.",
    )
    .usage("[options] [POD]");
  defineNodeCommand<TopFlags>(command, host, {
    changes: false,
    addOptions: (target) =>
      addScopeOptions(target, host.surface)
        .optionsGroup("Looking:")
        .addOption(
          new Option("--interval <duration>", "from the first look to the second")
            .argParser(parseDurationMs)
            .default(defaultIntervalMs, "1s"),
        ),
    examples: [
      ["Everything there is", "top -A"],
      ["One pod, with errors and drops, over ten seconds", "top -n demo web --interval 10s -o wide"],
    ],
    async run(words, { interval, ...flags }, invocation) {
      const scope = readScopeOf(words, flags, invocation.namespace);
      const { clock, pause } = host.io;
      const look = async (): Promise<{ readonly atMs: number; readonly found: readonly PodInterface[] }> => {
        const all = await invocation.api.list({ target: scope.target, counters: true }, invocation.signal);
        return { atMs: clock.steadyMs(), found: all.filter((one) => isInScope(one, scope)) };
      };
      const rates = await invocation.waitFor("looking", async (): Promise<readonly InterfaceRates[]> => {
        const first = await look();
        await pause(interval, invocation.signal);
        const second = await look();
        return ratesBetween(first.found, second.found, second.atMs - first.atMs);
      });
      if (isDocumentFormat(invocation.format)) {
        invocation.print(await formatDocument(rateDocument(rates), invocation.format));
      } else if (rates.length > 0) {
        invocation.print(formatRates(rates, invocation));
      } else {
        invocation.note("no interfaces whose counters are told");
      }
      return 0;
    },
  });
}
