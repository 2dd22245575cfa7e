import type { EndedProcesses, MarkedProcess } from "../cni/processes.ts";
import { runMarkerName } from "../cni/run-marker.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { Lanes } from "./lanes.ts";
import type { RecordBook } from "./record-book.ts";
import type { Retries } from "./retries.ts";

/** Ends every plugin process of this node's agents but those to spare, of this run and of earlier ones. */
export type EndLeftovers = (spare: (process: MarkedProcess) => boolean) => Promise<EndedProcesses>;

export interface Leftovers {
  readonly book: RecordBook;
  readonly lanes: Lanes;
  readonly retries: Retries;
  readonly log: Logger;
  readonly end: EndLeftovers;
  /** Begins what recovery owes the sandbox, which was held so far; it is in the sandbox's lane when the call returns. */
  readonly released: (sandboxId: string) => Promise<unknown>;
}

/**
 * Ends the plugins of a run that was killed: a late ADD beside recovery's DEL
 * would make what that takes away. What a completed ADD keeps running on
 * purpose serves its interface, and stays. A process that doesn't end, stuck
 * in the kernel, holds its own sandbox alone: nothing is done to that until a
 * later try finds it gone. Resolves with those sandboxes; to be called before
 * any plugin of this run starts.
 */
export async function endLeftovers({
  book,
  lanes,
  retries,
  log,
  end,
  released,
}: Leftovers): Promise<ReadonlySet<string>> {
  const isWhole = ({ env }: MarkedProcess): boolean =>
    env["CNI_COMMAND"] === "ADD" &&
    book.get(env["CNI_CONTAINERID"] ?? "", env["CNI_IFNAME"] ?? "")?.state === "attached";

  /** All that can be; those that can't, by their sandboxes. */
  async function endAll(): Promise<ReadonlyMap<string, readonly MarkedProcess[]>> {
    const stuck = new Map<string, readonly MarkedProcess[]>();
    for (;;) {
      const { ended, left } = await end((each) => isWhole(each) || stuck.has(sandboxOf(each)));
      if (ended.length > 0) log.warn({ processes: ended.map(describe) }, "ended plugins of an earlier run");
      if (left.length === 0) return stuck;
      // Once more for the others: while these were found, nobody can say that no other came.
      for (const [id, processes] of Map.groupBy(left, sandboxOf)) stuck.set(id, processes);
    }
  }

  function hold(sandboxId: string, processes: readonly MarkedProcess[]): void {
    const facts = { sandbox: sandboxId, processes: processes.map(describe) };
    log.error(facts, "plugins of an earlier run don't end; their sandbox is left alone until they have");
    const why = `a plugin of an earlier run doesn't end (${facts.processes.join(", ")}); until it has, nothing is done to sandbox ${sandboxId}`;
    // Garbage collection is no sandbox's: a process that was killed does no more than end its system call.
    const held = sandboxId === "" ? undefined : lanes.hold(sandboxId, new PodplugError("PLUGIN_STUCK", why));
    // With what they started; never what this run starts.
    const runs = new Set(processes.map(({ env }) => env[runMarkerName]));
    retries.schedule(`leftovers ${sandboxId}`, async () => {
      const { left } = await end(({ env }) => !runs.has(env[runMarkerName]));
      if (left.length > 0) {
        log.warn(
          { ...facts, processes: left.map(describe) },
          "plugins of an earlier run are still there; ending them is tried again",
        );
        return false;
      }
      log.info(facts, "the plugins of an earlier run have ended; their sandbox is looked after again");
      held?.[Symbol.dispose]();
      await released(sandboxId);
      return true;
    });
  }

  const stuck = await endAll();
  for (const [sandboxId, processes] of stuck) hold(sandboxId, processes);
  return new Set(stuck.keys());
}

function sandboxOf({ env }: MarkedProcess): string {
  return env["CNI_CONTAINERID"] ?? "";
}

function describe({ pid, env }: MarkedProcess): string {
  return `${pid} ${env["CNI_COMMAND"] ?? ""} ${env["CNI_IFNAME"] ?? ""}`.trim();
}
