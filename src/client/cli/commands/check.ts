import { type Command, InvalidArgumentError } from "commander";
import { asPodplugError, failureOf } from "../../../domain/errors.ts";
import type { ErrorKind } from "../../../domain/reasons.ts";
import { describeTarget, type Target } from "../../../domain/target.ts";
import type { Invocation } from "../invocation.ts";
import {
  addTargetOptions,
  isTargetGiven,
  readTarget,
  type TargetFlags,
  targetWords,
} from "../options/target.ts";
import type { CheckOutcome } from "../output/answer-documents.ts";
import { formatDocument, isDocumentFormat } from "../output/documents.ts";
import { formatTable } from "../output/table.ts";
import { visible } from "../output/visible.ts";
import { type CommandHost, defineNodeCommand, takePod } from "./host.ts";

interface CheckFlags extends TargetFlags {
  readonly interface?: string;
}

/** Failures that say nothing of the attachment, and that the next one would meet too. */
const aboutTheCaller: ReadonlySet<ErrorKind> = new Set(["unavailable", "unauthenticated", "canceled"]);

export function addCheckCommand(program: Command, host: CommandHost): void {
  const command = program
    .command("check")
    .summary("ask whether attachments are as they should be")
    .description(
      "Asks the networks' plugins whether a pod's attachments are still as they should be (CNI CHECK).\nFails when one isn't.",
    )
    .usage(`[options] ${host.surface.targets === "any" ? "[POD]" : "POD"}`);
  defineNodeCommand<CheckFlags>(command, host, {
    changes: false,
    addOptions: (target) =>
      addTargetOptions(target, host.surface)
        .optionsGroup("Attachment:")
        .option("--interface <name>", "only this interface (default: every attachment of the pod)"),
    examples: [
      ["Every attachment of pod web", "check web"],
      ["One of them, in namespace demo", "check -n demo web --interface data0"],
    ],
    async run(words, flags, invocation) {
      const { pod, rest } = takePod(words, isTargetGiven(flags));
      const target = readTarget(pod, flags, invocation.namespace);
      if (target === undefined) throw new InvalidArgumentError(`missing ${targetWords(host.surface)}`);
      if (rest.length > 0) throw new InvalidArgumentError(`too many arguments: ${rest.join(" ")}`);
      if (flags.interface !== undefined) {
        // One attachment that was asked for by name: its failure is the command's.
        await checkOne(target, flags.interface, invocation);
        return present([{ interface: flags.interface, network: "" }], invocation);
      }
      return present(await checkAll(target, invocation), invocation);
    },
  });
}

function checkOne(target: Target, ifName: string, invocation: Invocation): Promise<void> {
  return invocation.waitFor(`checking ${ifName} of ${describeTarget(target)}`, () =>
    invocation.api.check({ target, interface: ifName }, invocation.signal),
  );
}

async function checkAll(target: Target, invocation: Invocation): Promise<CheckOutcome[]> {
  const interfaces = await invocation.waitFor(`listing ${describeTarget(target)}`, () =>
    invocation.api.list({ target }, invocation.signal),
  );
  const outcomes: CheckOutcome[] = [];
  for (const { name, network, state, failure: known } of interfaces) {
    if (state === undefined) continue;
    // What is gone, renamed or half made needs no plugin to tell, and has no name to ask them by.
    if (known !== undefined && state !== "attached") {
      outcomes.push({ interface: name, network, failure: known });
      continue;
    }
    try {
      await checkOne(target, name, invocation);
      outcomes.push({ interface: name, network });
    } catch (error) {
      const failed = asPodplugError(error);
      if (aboutTheCaller.has(failed.kind)) throw failed;
      outcomes.push({ interface: name, network, failure: failureOf(failed) });
    }
  }
  if (outcomes.length === 0) invocation.note(`no attachments in ${describeTarget(target)}`);
  return outcomes;
}

async function present(outcomes: readonly CheckOutcome[], invocation: Invocation): Promise<number> {
  if (isDocumentFormat(invocation.format)) {
    const { checkDocument } = await import("../output/answer-documents.ts");
    invocation.print(await formatDocument(checkDocument(outcomes), invocation.format));
  } else if (outcomes.length > 0) {
    const { heading, good, bad } = invocation.colours;
    const titles = ["INTERFACE", "NETWORK", "CHECK"].map((text) => ({ text, paint: heading }));
    const rows = outcomes.map(({ interface: ifName, network, failure }) => [
      { text: visible(ifName) },
      { text: network === "" ? "-" : visible(network) },
      failure === undefined
        ? { text: "ok", paint: good }
        : { text: visible(`${failure.reason}: ${failure.message}`), paint: bad },
    ]);
    invocation.print(formatTable([titles, ...rows]));
  }
  return outcomes.every(({ failure }) => failure === undefined) ? 0 : 1;
}
