import { defineConfig } from "vitest/config";

/** The tests that need a real Kubernetes; test/cluster/cluster.sh gives them one. */
export default defineConfig({
  cacheDir: ".cache/vitest-cluster",
  test: {
    include: ["test/cluster/**/*.test.ts"],
    pool: "forks",
    // All share one node, and some look at how long it takes.
    maxWorkers: 1,
    // They only end what hangs: a busy machine needs far less.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 15_000 } },
    allowOnly: false,
    reporters: ["default", "./scripts/plain-line-reporter.ts"],
  },
});
