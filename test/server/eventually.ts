import { setTimeout as delay } from "node:timers/promises";

/** Waits until the condition holds; a deadline far beyond what a busy machine needs tells when it never will. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 60_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms, ${what}`);
    await delay(10);
  }
}
