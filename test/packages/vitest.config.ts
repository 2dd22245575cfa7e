import { defineConfig } from "vitest/config";

/** The tests that install packages; test/packages/machine.sh gives them a machine to do it on. */
export default defineConfig({
  cacheDir: ".cache/vitest-packages",
  test: {
    include: ["test/packages/**/*.test.ts"],
    pool: "forks",
    // All share one machine.
    maxWorkers: 1,
    // They only end what hangs: a busy machine needs far less.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 15_000 } },
    allowOnly: false,
    reporters: ["default", "./scripts/plain-line-reporter.ts"],
  },
});
