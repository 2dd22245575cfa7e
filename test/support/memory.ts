/** What this process holds beside what it held when the gauge was made, in MiB. */
export function createMemoryGauge(): () => number {
  const held = (): number => {
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    return (heapUsed + external + arrayBuffers) / 2 ** 20;
  };
  const before = held();
  return () => held() - before;
}
