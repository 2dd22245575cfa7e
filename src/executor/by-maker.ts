import type { Executor } from "./contract.ts";

/**
 * `current` for what is new; DEL and CHECK by whoever ran the ADD, as the
 * configuration may name another executor since. What no executor here made,
 * the first of `others` looks after, from the record.
 */
export function createExecutorByMaker(
  current: Executor,
  others: readonly [Executor, ...Executor[]],
): Executor {
  const all = new Map([...others, current].map((executor) => [executor.name, executor]));
  const makerOf = (name: string): Executor => all.get(name) ?? others[0];
  return {
    ...current,
    del: (attachment, result, signal) => makerOf(attachment.executor).del(attachment, result, signal),
    check: (attachment, result, signal) => makerOf(attachment.executor).check(attachment, result, signal),
  };
}
