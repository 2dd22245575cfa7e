import { defineConfig } from "vitest/config";

export default defineConfig({
  // A clone that belongs to somebody else can't be written to.
  cacheDir: ".cache/vitest",
  test: {
    include: ["test/**/*.test.ts"],
    // These need a real Kubernetes (make test-cluster), minutes (make test-faults), or a machine (make test-packages).
    exclude: ["test/cluster/**", "test/faults/full/**", "test/packages/**"],
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
