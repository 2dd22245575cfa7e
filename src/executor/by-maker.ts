import type { Executor } from "./contract.ts";

/**
 * `current` prepares what is new; each verb of an attachment is run by the
 * executor that it names, as the configuration may name another one since:
 * what is made again is prepared for the one that made it first. What no
 * executor here made, the first of `others` looks after, from the record.
 */
export function createExecutorByMaker(
  current: Executor,
  others: readonly [Executor, ...Executor[]],
): Executor {
  const all = new Map([...others, current].map((executor) => [executor.name, executor]));
  const makerOf = (name: string): Executor => all.get(name) ?? others[0];
  return {
    ...current,
    daemons: [...all.values()].flatMap(({ daemons }) => daemons),
    add: (attachment, signal) => makerOf(attachment.executor).add(attachment, signal),
    del: (attachment, result, signal) => makerOf(attachment.executor).del(attachment, result, signal),
    check: (attachment, result, signal) => makerOf(attachment.executor).check(attachment, result, signal),
  };
}
