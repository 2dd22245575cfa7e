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
    testTimeout: 30_000,
    hookTimeout: 30_000,
    allowOnly: false,
    reporters: ["default", "./scripts/plain-line-reporter.ts"],
  },
});
