import { type Command, InvalidArgumentError } from "commander";
import type { AttachmentChoice, DetachAnswer } from "../../../domain/node-api.ts";
import { describeTarget } from "../../../domain/target.ts";
import {
  addTargetOptions,
  isTargetGiven,
  readTarget,
  type TargetFlags,
  targetWords,
} from "../options/target.ts";
import { formatDocument, isDocumentFormat } from "../output/documents.ts";
import { placeOf } from "../output/interface-columns.ts";
import { visible } from "../output/visible.ts";
import { type CommandHost, defineNodeCommand, takePod } from "./host.ts";

interface DetachFlags extends TargetFlags {
  readonly interface?: string;
  readonly id?: string;
  readonly force?: boolean;
}

export function addDetachCommand(program: Command, host: CommandHost): void {
  const command = program
    .command("detach")
    .summary("unplug a network from a running pod")
    .description(
      "Unplugs one attachment, named by its network, its interface or its ID.\nDetaching what isn't there succeeds, and says so.",
    )
    .usage("[options] [POD] [NETWORK]");
  defineNodeCommand<DetachFlags>(command, host, {
    changes: true,
    addOptions: (target) =>
      addTargetOptions(target, host.surface)
        .optionsGroup("Attachment:")
        .option("--interface <name>", "by the interface's name in the pod")
        .option("--id <id>", "by the attachment's ID (podplug list -o wide shows it)")
        .option("--force", "also when another owner made it"),
    examples: [
      ["Unplug network net-a from pod web", "detach web net-a"],
      ["By the interface's name, in namespace demo", "detach -n demo web --interface data0"],
      ["By its ID, wherever it is", "detach --id 7f3a…"],
      ["From a network namespace", "detach --netns /run/netns/blue net-a", "node"],
    ],
    async run(words, flags, invocation) {
      const { pod, rest } = takePod(words, isTargetGiven(flags));
      const target = readTarget(pod, flags, invocation.namespace);
      const which = readChoice(rest, flags);
      if (target === undefined && which.by !== "id") {
        throw new InvalidArgumentError(`missing ${targetWords(host.surface, "--id")}`);
      }
      const where = target === undefined ? "" : ` from ${describeTarget(target)}`;
      const request = { target, which, force: flags.force };
      const answer = await invocation.waitFor(`detaching ${wordFor(which)}${where}`, () =>
        invocation.api.detach(request, invocation.signal),
      );
      if (isDocumentFormat(invocation.format)) {
        const { detachDocument } = await import("../output/answer-documents.ts");
        invocation.print(await formatDocument(detachDocument(answer), invocation.format));
      } else if (answer.detached) {
        invocation.print(`detached ${describeDetached(answer, wordFor(which), where)}\n`);
      } else {
        invocation.note(
          `nothing to detach${visible(where)}: there is no attachment ${visible(wordFor(which))}`,
        );
      }
      return 0;
    },
  });
}

function readChoice(rest: readonly string[], flags: DetachFlags): AttachmentChoice {
  const choices: AttachmentChoice[] = [
    ...rest.map((network) => ({ by: "network", network }) as const),
    ...(flags.interface === undefined ? [] : [{ by: "interface", interface: flags.interface } as const]),
    ...(flags.id === undefined ? [] : [{ by: "id", attachmentId: flags.id } as const]),
  ];
  const [choice] = choices;
  if (choice === undefined) throw new InvalidArgumentError("missing NETWORK (or --interface, --id)");
  if (choices.length > 1)
    throw new InvalidArgumentError("only one of NETWORK, --interface and --id can be given");
  return choice;
}

function wordFor(which: AttachmentChoice): string {
  switch (which.by) {
    case "interface":
      return which.interface;
    case "network":
      return which.network;
    case "id":
      return which.attachmentId;
  }
}

function describeDetached({ interface: gone }: DetachAnswer, asked: string, where: string): string {
  if (gone === undefined) return visible(asked + where);
  const network = gone.network === "" ? "" : ` (${gone.network})`;
  return visible(`${gone.name}${network} from ${placeOf(gone)}`);
}
