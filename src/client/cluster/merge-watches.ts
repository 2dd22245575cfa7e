import type { InterfaceEvent } from "../../domain/node-api.ts";

/**
 * The events of several watches as they come, with one `synced` once each of
 * them is. One that ends is left out from then on, and counts as synced; all
 * of it ends with the last one. They end themselves when `signal` aborts.
 */
export async function* mergeWatches(
  watches: readonly AsyncIterable<InterfaceEvent>[],
  signal: AbortSignal,
): AsyncGenerator<InterfaceEvent> {
  const waiting: InterfaceEvent[] = [];
  let wake = Promise.withResolvers<void>();
  let running = watches.length;
  let unsynced = watches.length;

  const synced = (): void => {
    unsynced -= 1;
    if (unsynced === 0) waiting.push({ kind: "synced" });
  };
  const follow = async (watch: AsyncIterable<InterfaceEvent>): Promise<void> => {
    let isSynced = false;
    try {
      for await (const event of watch) {
        if (event.kind === "synced") {
          isSynced = true;
          synced();
        } else waiting.push(event);
        wake.resolve();
      }
    } finally {
      running -= 1;
      if (!isSynced && !signal.aborted) synced();
      wake.resolve();
    }
  };

  const all = Promise.all(watches.map(follow));
  for (;;) {
    for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) yield event;
    if (running === 0) break;
    await wake.promise;
    wake = Promise.withResolvers();
  }
  await all;
}
