import { type Command, InvalidArgumentError } from "commander";
import { PodplugError } from "../../../domain/errors.ts";
import { abortError } from "../../../domain/signals.ts";
import { describeTarget } from "../../../domain/target.ts";
import type { AnnotatedCluster, NetworksEdited, ObjectKey } from "../../../kube/cluster-contract.ts";
import { networksAnnotation } from "../../../kube/contract.ts";
import type { OpenCluster } from "../cluster-surface.ts";
import { runInvocation, type Terminal } from "../invocation.ts";
import type { CliIo } from "../io.ts";
import { type AnnotationEdit, annotationEdits } from "../options/annotation.ts";
import { addClusterOptions, type ClusterFlags } from "../options/cluster.ts";
import { addTimeoutOption } from "../options/connection.ts";
import { addOutputOptions, type OutputFlags } from "../options/output.ts";
import { readPod } from "../options/target.ts";
import { formatDocument, isDocumentFormat } from "../output/documents.ts";
import { visible } from "../output/visible.ts";
import { addExamples, type CommandHost } from "./host.ts";

const lookAgainMs = 500;

interface AnnotateFlags extends ClusterFlags, OutputFlags {
  readonly namespace?: string;
  readonly wait?: boolean;
  readonly timeout: number;
}

interface Asked {
  readonly edit: AnnotationEdit;
  readonly pod: string;
  readonly network: string;
}

export function addAnnotateCommand(program: Command, host: CommandHost, openCluster: OpenCluster): void {
  const { io, surface } = host;
  const command = program
    .command("annotate")
    .summary("add a network to a pod's annotation, or take it away")
    .description(
      `Edits a pod's annotation ${networksAnnotation}, which podplug's agents follow,\nand nothing else of the pod. No agent need be within reach.`,
    )
    .usage("[options] add|del POD [NAMESPACE/]NETWORK[@INTERFACE]")
    .optionsGroup("Target:")
    .option("-n, --namespace <namespace>", `the pod's namespace (default: ${surface.defaultNamespace})`)
    .optionsGroup("Change:")
    .option("--wait", "until the pod's network-status shows that it is done");
  addTimeoutOption(addClusterOptions(addOutputOptions(command)));
  command.argument("[words...]").action(async (words: readonly string[], flags: AnnotateFlags) => {
    const asked = readWords(words);
    const options = {
      io,
      program: surface.program,
      command: command.name(),
      changes: false,
      flags,
      async reach() {
        const cluster = await openCluster(flags);
        return { cluster, [Symbol.asyncDispose]: () => Promise.resolve(cluster[Symbol.dispose]()) };
      },
    };
    host.finish(
      await runInvocation(options, async (terminal, { cluster }) => {
        const pod = readPod(asked.pod, flags.namespace, cluster.namespace);
        const changed = await change({ ...asked, pod, cluster, flags, io }, terminal);
        await present(asked, pod, changed, terminal);
        return 0;
      }),
    );
  });
  addExamples(command, surface, [
    ["Plug network net-a into pod web, and wait until it is there", "annotate add web net-a --wait"],
    ["A network of another namespace, as data0", "annotate add -n demo web infra/uplink@data0"],
    ["Unplug it", "annotate del -n demo web infra/uplink@data0"],
  ]);
}

function readWords(words: readonly string[]): Asked {
  const [edit, pod, network, ...rest] = words;
  const known = annotationEdits.find((each) => each === edit);
  if (known === undefined) throw new InvalidArgumentError("say add or del first");
  if (pod === undefined || network === undefined) throw new InvalidArgumentError("missing POD or NETWORK");
  if (rest.length > 0) throw new InvalidArgumentError(`too many arguments: ${rest.join(" ")}`);
  return { edit: known, pod, network };
}

interface Change extends Omit<Asked, "pod"> {
  readonly pod: ObjectKey;
  readonly cluster: AnnotatedCluster;
  readonly flags: AnnotateFlags;
  readonly io: CliIo;
}

/** Whether the annotation was changed; with --wait, once that shows. */
async function change(
  { edit: kind, pod, network, cluster, flags, io }: Change,
  { signal, waitFor }: Terminal,
): Promise<boolean> {
  const where = describeTarget({ kind: "pod", pod });
  const edited = await waitFor(`editing the annotation of ${where}`, () =>
    cluster.networks.edit({ kind, pod, network }, signal),
  );
  if (flags.wait === true) {
    const doing = `waiting for ${where} to show it in its network-status`;
    await waitFor(doing, () => untilFollowed(edited, { doing, io, timeoutMs: flags.timeout }, signal));
  }
  return edited.changed;
}

async function untilFollowed(
  edited: NetworksEdited,
  { doing, io, timeoutMs }: { readonly doing: string; readonly io: CliIo; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<void> {
  const deadlineMs = io.clock.steadyMs() + timeoutMs;
  while (!(await edited.isFollowed(signal))) {
    if (io.clock.steadyMs() >= deadlineMs) {
      throw new PodplugError(
        "DEADLINE_EXCEEDED",
        `${doing}: not within ${Math.round(timeoutMs / 1000)} s; the pod's events say why (kubectl describe pod)`,
      );
    }
    await io.pause(lookAgainMs, signal);
    if (signal.aborted) throw abortError(signal, doing);
  }
}

async function present(
  { edit, network }: Asked,
  { namespace, name }: ObjectKey,
  changed: boolean,
  { format, print, note }: Terminal,
): Promise<void> {
  const pod = `${namespace}/${name}`;
  if (isDocumentFormat(format)) print(await formatDocument({ pod, edit, network, changed }, format));
  else if (!changed) note(`nothing to remove: pod ${pod} doesn't ask for ${visible(network)}`);
  else if (edit === "add") print(`pod ${pod} asks for ${visible(network)}\n`);
  else print(`pod ${pod} no longer asks for ${visible(network)}\n`);
}
