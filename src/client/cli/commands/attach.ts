import { type Command, InvalidArgumentError } from "commander";
import { PodplugError } from "../../../domain/errors.ts";
import { isReason } from "../../../domain/reasons.ts";
import { describeTarget } from "../../../domain/target.ts";
import { addSelectionOptions, readSelection, type SelectionFlags } from "../options/selection.ts";
import {
  addTargetOptions,
  isTargetGiven,
  readTarget,
  type TargetFlags,
  targetWords,
} from "../options/target.ts";
import { formatDocument, isDocumentFormat } from "../output/documents.ts";
import { formatInterfaces } from "../output/interface-table.ts";
import { visible } from "../output/visible.ts";
import { type CommandHost, defineNodeCommand, takePod } from "./host.ts";

interface AttachFlags extends TargetFlags, SelectionFlags {
  readonly dryRun?: boolean;
  readonly key?: string;
  readonly replace?: boolean;
}

export function addAttachCommand(program: Command, host: CommandHost): void {
  const command = program
    .command("attach")
    .summary("plug a network into a running pod")
    .description(
      "Plugs one network into a running pod and answers once the interface is usable.\nAsking again for what is there already changes nothing.",
    )
    .usage(`[options] ${host.surface.targets === "any" ? "[POD]" : "POD"} NETWORK`);
  defineNodeCommand<AttachFlags>(command, host, {
    changes: true,
    addOptions: (target) => addChangeOptions(addSelectionOptions(addTargetOptions(target, host.surface))),
    examples: [
      ["Plug network net-a into pod web", "attach web net-a"],
      [
        "With a name and an address, in namespace demo",
        "attach -n demo web net-a --interface data0 --ip 10.1.2.3/24",
      ],
      [
        "A network of another namespace, rate-limited",
        "attach web infra/uplink --bandwidth ingress=10M,egress=1G",
      ],
      ["A configuration of your own", "attach web --config-file macvlan.conflist"],
      ["Into a network namespace, without Kubernetes", "attach --netns /run/netns/blue net-a", "node"],
      ["Only see whether it would work", "attach web net-a --dry-run"],
    ],
    async run(words, flags, invocation) {
      const { pod, rest } = takePod(words, isTargetGiven(flags));
      const target = readTarget(pod, flags, invocation.namespace);
      const [network] = rest;
      const missing = [
        target === undefined ? [targetWords(host.surface)] : [],
        network === undefined && flags.configFile === undefined ? ["NETWORK (or --config-file)"] : [],
      ].flat();
      if (target === undefined || missing.length > 0)
        throw new InvalidArgumentError(`missing ${missing.join(" and ")}`);
      if (rest.length > 1) throw new InvalidArgumentError(`too many arguments: ${rest.slice(1).join(" ")}`);
      if (network !== undefined && flags.configFile !== undefined) {
        throw new InvalidArgumentError(`NETWORK ${network} and --config-file exclude each other`);
      }
      const request = {
        target,
        network: await readSelection(network, flags, invocation.readStdin),
        validateOnly: flags.dryRun,
        key: flags.key,
        replace: flags.replace,
      };
      const doing = `attaching ${network ?? "the given configuration"} to ${describeTarget(target)}`;
      const answer = await invocation.waitFor(doing, () => invocation.api.attach(request, invocation.signal));
      const { created, interface: one } = answer;
      // Found, but not as it was attached: its link is gone or renamed, say.
      const unwell = created || one.state === "attached" ? undefined : one.failure;
      if (isDocumentFormat(invocation.format)) {
        const { attachDocument } = await import("../output/answer-documents.ts");
        invocation.print(await formatDocument(attachDocument(answer), invocation.format));
      } else {
        invocation.print(formatInterfaces([one], invocation));
        if (!created && unwell === undefined) {
          const found = `${visible(one.name)} ${flags.dryRun === true ? "is" : "was"} attached already`;
          if (flags.dryRun !== true) invocation.note(found);
          else
            invocation.note(
              `dry run: ${one.state === undefined ? "this would be attached" : found}; nothing was changed`,
            );
        }
      }
      if (unwell === undefined) return 0;
      const { reason, message, ...more } = unwell;
      const known = isReason(reason) ? reason : "CHECK_FAILED";
      return invocation.report(new PodplugError(known, `attached already, but ${message}`, more));
    },
  });
}

function addChangeOptions(command: Command): Command {
  return command
    .optionsGroup("Change:")
    .option("--dry-run", "check all that can be checked, change nothing")
    .option(
      "--key <key>",
      "names this attachment among your own, so that asking again finds it without an interface's name",
    )
    .option(
      "--replace",
      "when your own attachment has the name with other attributes: detach it and attach this one",
    );
}
