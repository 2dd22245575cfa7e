import type { Caller } from "../domain/attachment.ts";
import { PodplugError } from "../domain/errors.ts";
import type { NodeApi, NodeInfo } from "../domain/node-api.ts";
import { neverAborted } from "../domain/signals.ts";
import type { Target } from "../domain/target.ts";
import { silentTelemetry } from "../domain/telemetry.ts";
import { createApplier } from "./apply.ts";
import { createAttach } from "./attach.ts";
import { createCheck } from "./check.ts";
import { createCheckRound } from "./check-round.ts";
import { persistent } from "./cleanup.ts";
import type { EngineCore, EngineOptions } from "./core.ts";
import { createDetach } from "./detach.ts";
import { createEnding } from "./ending.ts";
import { Feed } from "./feed.ts";
import { Gate } from "./gate.ts";
import type { AttachmentRecord } from "./journal.ts";
import { recordKey } from "./journal.ts";
import { Lanes } from "./lanes.ts";
import { type EndLeftovers, endLeftovers } from "./leftovers.ts";
import { createLook } from "./look.ts";
import { createNamespaces } from "./namespaces.ts";
import { countStates, observeApplier } from "./observed.ts";
import { RecordBook } from "./record-book.ts";
import { recoverRecord } from "./recover.ts";
import { createRestore } from "./restore.ts";
import { Retries } from "./retries.ts";
import { createSweep } from "./sweep.ts";
import { createWatchFromStart } from "./watch-from-start.ts";
import { createWatchOver } from "./watch-over.ts";

/**
 * The life cycle of every attachment of this node. A request finds its sandbox
 * and waits for that sandbox's lane (lanes.ts); there it is compared with what
 * is there (plan.ts), prepared, and carried out with a durable record before
 * the first plugin starts (apply.ts).
 */
export interface Engine {
  /** What the engine does for one caller, who was authenticated elsewhere. */
  forCaller(caller: Caller): NodeApi;
  /** Where an attachment is, as its record has it; undefined when there is none of that ID. */
  targetOf(attachmentId: string): Target | undefined;
  /**
   * Reads the journal, has the plugins of an earlier run ended, and queues what
   * that run left unfinished, each in its sandbox's lane, so that requests that
   * come meanwhile wait behind it. To be called once. `settled` resolves when
   * all of it was tried once. A sandbox whose plugin can't be ended is recovered
   * when that has ended; until then its attachments are PLUGIN_STUCK.
   */
  recover(end: EndLeftovers): Promise<{ readonly settled: Promise<void> }>;
  /**
   * CNI GC for the named networks, one after the other, with every record as
   * the valid set; no other plugin runs meanwhile. A network that fails is
   * logged. JOURNAL_FAILED, with nothing collected, when the valid set isn't
   * complete because records couldn't be read.
   */
  collectGarbage(networks: readonly string[], signal: AbortSignal): Promise<void>;
  /**
   * Keeps what is told of attachments true while they are changed by others:
   * listens to the kernel, looks at each namespace once an interval, and has
   * the plugins CHECK one attachment after the other. Until `signal` aborts.
   */
  watchOver(intervalMs: number, signal: AbortSignal): Promise<void>;
  /** Detaches what ended with its namespace, and attaches again what waits for its pod's next one; to be called now and then, and when a pod is known to be gone. */
  sweep(): Promise<void>;
  /**
   * The same for what an earlier sweep couldn't see to, and for what waits. It
   * costs nothing while there is none; to be called every few seconds.
   */
  sweepLeftover(): Promise<void>;
  /** Takes no new work, tells the watchers, and resolves when what had begun has ended. */
  drain(): Promise<void>;
}

export function createEngine(options: EngineOptions): Engine {
  const { journal, sandboxes, networks, executor, interfaces, log, telemetry = silentTelemetry } = options;
  const book = new RecordBook(journal);
  const lanes = new Lanes();
  const gate = new Gate({ capacity: options.maxConcurrent, clock: options.clock });
  const feed = new Feed();
  const namespaces = createNamespaces(interfaces, sandboxes);
  const retries = new Retries(options.clock, telemetry);
  telemetry.watch({ kind: "records", read: () => countStates(book.all()) });
  const plainApplier = observeApplier(createApplier({ ...options, book, gate, namespaces }), telemetry);
  const { applier, cleanUp } = persistent(plainApplier, {
    ...options,
    book,
    lanes,
    feed,
    retries,
  });
  let stopping = false;
  const refuseWhenStopping = (): void => {
    if (stopping) throw new PodplugError("AGENT_STOPPING", "the agent is shutting down");
  };
  const isStopping = (): boolean => stopping;
  const core: EngineCore = {
    ...options,
    book,
    lanes,
    gate,
    feed,
    namespaces,
    applier,
    cleanUp,
    endSandbox: createEnding({ ...options, book, applier, feed, isStopping }),
    isStopping,
    refuseWhenStopping,
  };
  const { attach, attachAgain } = createAttach(core);
  const detach = createDetach(core);
  const check = createCheck(core);
  const look = createLook(core);
  const { begin, watchFromStart } = createWatchFromStart(book, look.watch);
  const sweep = createSweep(core, createRestore(core, { retries, attachAgain }));
  const lookOut = createWatchOver(core, sweep.all);
  const goRound = createCheckRound(core, check);

  async function info(signal: AbortSignal): Promise<NodeInfo> {
    return {
      nodeName: options.nodeName,
      version: options.version,
      runtime: await sandboxes.describe(signal),
      executor: executor.name,
      cniVersions: executor.cniVersions,
    };
  }

  async function recover(end: EndLeftovers): Promise<{ readonly settled: Promise<void> }> {
    await book.load();
    begin(book.all());
    const released = (sandboxId: string): Promise<unknown> =>
      Promise.all(book.ofSandbox(sandboxId).map(recoverForEver));
    const held = await endLeftovers({ book, lanes, retries, log, end, released });
    const work = book.all().filter(({ sandbox }) => !held.has(sandbox.id));
    return { settled: Promise.all(work.map(recoverForEver)).then(() => undefined) };
  }

  async function recoverForEver(record: AttachmentRecord): Promise<void> {
    const attempt = (): Promise<boolean> => recoverInLane(record);
    if (!(await attempt())) retries.schedule(recordKey(record), attempt);
  }

  /** Whether nothing is left to do. */
  async function recoverInLane({ sandbox, ifName }: AttachmentRecord): Promise<boolean> {
    try {
      await lanes.run(
        sandbox.id,
        async () => {
          const record = book.get(sandbox.id, ifName);
          // When the agent stops, the next one recovers what wasn't begun.
          if (record && !stopping) await recoverRecord(record, core);
        },
        neverAborted,
      );
      return true;
    } catch (error) {
      log.error(
        { sandbox: sandbox.id, interface: ifName, err: error },
        "recovering an attachment failed; it is tried again",
      );
      return false;
    }
  }

  async function collectGarbage(names: readonly string[], signal: AbortSignal): Promise<void> {
    const missing = names.length > 0 ? await journal.missing() : 0;
    if (missing > 0) {
      const what = `${missing} of the journal's records couldn't be read`;
      throw new PodplugError("JOURNAL_FAILED", `${what}: garbage collection would free what they hold`);
    }
    for (const name of names) {
      if (stopping) return;
      await collect(name, signal).catch((error: unknown) => {
        log.error({ network: name, err: error }, "garbage collection of a network failed");
      });
    }
  }

  async function collect(name: string, signal: AbortSignal): Promise<void> {
    const definition = await networks.find({ name }, undefined, signal);
    const { config, networkName } = await executor.prepare(definition, { name }, { deep: false }, signal);
    await gate.exclusive(async () => {
      const valid = book
        .all()
        .filter(({ state }) => state !== "waiting")
        .filter(({ chain, replaces }) => [chain.networkName, replaces?.networkName].includes(networkName))
        .map(({ sandbox, ifName }) => ({ containerId: sandbox.id, ifName }));
      await executor.gc(config, valid, AbortSignal.timeout(options.timeoutMs));
    });
  }

  async function drain(): Promise<void> {
    stopping = true;
    retries.close();
    feed.close();
    await lanes.idle();
    // Garbage collection runs in no lane.
    await gate.exclusive(async () => undefined);
  }

  return {
    forCaller: (caller) => ({
      attach: (request, signal) => attach(caller, request, signal),
      detach: (request, signal) => detach(caller, request, signal),
      list: look.list,
      watch: caller.reconciler ? watchFromStart : look.watch,
      check: (request, signal) => check.check(request, signal),
      info,
    }),
    targetOf(attachmentId) {
      const sandbox = book.byId(attachmentId)?.sandbox;
      if (!sandbox) return undefined;
      const { pod, netnsPath } = sandbox;
      return pod ? { kind: "pod", pod } : { kind: "netns", netns: netnsPath };
    },
    recover,
    collectGarbage,
    async watchOver(intervalMs, signal) {
      await Promise.all([lookOut(intervalMs, signal), goRound(intervalMs, signal)]);
    },
    sweep: sweep.all,
    sweepLeftover: sweep.leftover,
    drain,
  };
}
