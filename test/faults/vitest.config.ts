import { defineConfig } from "vitest/config";

/** What goes wrong on a node, at full length: the short tests of make test, and those that take minutes. */
export default defineConfig({
  cacheDir: ".cache/vitest-faults",
  test: {
    include: ["test/faults/**/*.test.ts", "test/model/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    // They only end what hangs: a busy machine needs far less.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 15_000 } },
    allowOnly: false,
    reporters: ["default", "./scripts/plain-line-reporter.ts"],
  },
});
