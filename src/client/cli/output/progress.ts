import type { Clock } from "../../../domain/clock.ts";
import type { TextSink } from "../io.ts";
import { visible } from "./visible.ts";

const tickMs = 1000;
const eraseLine = "\r\u001b[2K";

/**
 * Waits for `work`; on a terminal, says what it waits for and for how long as
 * soon as that takes longer than a second. Nothing of it is left at the end.
 */
export async function withProgress<T>(
  doing: string,
  { stderr, clock }: { readonly stderr: TextSink; readonly clock: Clock },
  work: () => Promise<T>,
): Promise<T> {
  if (stderr.isTTY !== true) return work();
  const startedMs = clock.now().getTime();
  let shown = false;
  let timer: Disposable;
  const schedule = (): Disposable => clock.setTimer(tickMs, tick);
  const tick = (): void => {
    const seconds = Math.round((clock.now().getTime() - startedMs) / 1000);
    const text = `${visible(doing)} … ${seconds} s`;
    // A line that wraps can't be erased. A terminal that doesn't know its width says 0.
    stderr.write(eraseLine + text.slice(0, (stderr.columns || 80) - 1));
    shown = true;
    timer = schedule();
  };
  timer = schedule();
  try {
    return await work();
  } finally {
    timer[Symbol.dispose]();
    if (shown) stderr.write(eraseLine);
  }
}
