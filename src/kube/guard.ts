import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import { abortError } from "../domain/signals.ts";

/** Ends a request when its caller leaves or when it takes too long; the signal's reason says which, as our error. */
export interface Guard extends Disposable {
  readonly signal: AbortSignal;
  /** Something came: the time begins anew. */
  touch(): void;
}

export function createGuard(options: {
  readonly clock: Clock;
  readonly limitMs: number;
  readonly doing: string;
  readonly signal: AbortSignal;
}): Guard {
  const { clock, limitMs, doing, signal } = options;
  const controller = new AbortController();
  const leave = (): void => controller.abort(abortError(signal, doing));
  const expire = (): void =>
    controller.abort(
      new PodplugError("UNREACHABLE", `${doing}: nothing came from the API server for ${limitMs} ms`),
    );
  let timer = clock.setTimer(limitMs, expire);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  return {
    signal: controller.signal,
    touch() {
      timer[Symbol.dispose]();
      timer = clock.setTimer(limitMs, expire);
    },
    [Symbol.dispose]() {
      timer[Symbol.dispose]();
      signal.removeEventListener("abort", leave);
    },
  };
}
