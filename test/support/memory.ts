import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What this process holds beside what it held when the gauge was made, in MiB, garbage apart. */
export async function createMemoryGauge(): Promise<() => Promise<number>> {
  const held = async (): Promise<number> => {
    // What a job looked at by weak references stays until it ends, and what finalizers let go of until the next time.
    for (let times = 0; times < 2; times += 1) {
      await turn();
      collectGarbage();
    }
    const { heapUsed, external } = process.memoryUsage();
    return (heapUsed + external) / 2 ** 20;
  };
  const before = await held();
  return async () => (await held()) - before;
}
