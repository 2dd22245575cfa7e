import { type Command, InvalidArgumentError } from "commander";
import type { PodInterface } from "../../../domain/node-api.ts";
import { describeTarget } from "../../../domain/target.ts";
import { addScopeOptions, isTargetGiven, readScope, type Scope, type ScopeFlags } from "../options/target.ts";
import { formatDocument, isDocumentFormat } from "../output/documents.ts";
import { formatInterfaces } from "../output/interface-table.ts";
import { type CommandHost, defineNodeCommand, takePod } from "./host.ts";

export function addListCommand(program: Command, host: CommandHost): void {
  const command = program
    .command("list")
    .alias("ls")
    .summary("list the interfaces of pods")
    .description(
      "Lists the interfaces of one pod or of many, as the kernel has them now, with their attachments.\nA table leaves out link-local addresses beside others; -o wide has them all.",
    )
    .usage("[options] [POD]");
  defineNodeCommand<ScopeFlags>(command, host, {
    changes: false,
    addOptions: (target) => addScopeOptions(target, host.surface),
    examples: [
      ["The pods of namespace default, and bare network namespaces", "list", "node"],
      ["One pod, with owners, IDs and failures", "list -n demo web -o wide"],
      ["Everything there is, for a script", "list -A -o json"],
    ],
    async run(words, flags, invocation) {
      const scope = readScopeOf(words, flags, invocation.namespace);
      const all = await invocation.waitFor(`listing ${describeScope(scope)}`, () =>
        invocation.api.list({ target: scope.target }, invocation.signal),
      );
      const interfaces = all.filter((one) => isInScope(one, scope));
      if (isDocumentFormat(invocation.format)) {
        const { listDocument } = await import("../output/answer-documents.ts");
        invocation.print(await formatDocument(listDocument(interfaces), invocation.format));
      } else if (interfaces.length > 0) {
        invocation.print(formatInterfaces(interfaces, invocation));
      } else {
        const hint = scope.namespace === undefined ? "" : " (-A shows every namespace's)";
        invocation.note(`no interfaces in ${describeScope(scope)}${hint}`);
      }
      return 0;
    },
  });
}

export function readScopeOf(words: readonly string[], flags: ScopeFlags, home: string): Scope {
  const { pod, rest } = takePod(words, isTargetGiven(flags));
  if (rest.length > 0) throw new InvalidArgumentError(`too many arguments: ${rest.join(" ")}`);
  return readScope(pod, flags, home);
}

/** The node answers for one target or for all of itself; a namespace is picked out here. */
export function isInScope({ pod }: PodInterface, { namespace, bare }: Scope): boolean {
  if (namespace === undefined) return true;
  return pod === undefined ? bare : pod.namespace === namespace;
}

function describeScope({ target, namespace, bare }: Scope): string {
  if (target !== undefined) return describeTarget(target);
  if (namespace === undefined) return "any pod";
  return bare ? `namespace ${namespace} or in bare network namespaces` : `namespace ${namespace}`;
}
