import { defineConfig } from "vitest/config";

export default defineConfig({
  // A clone that belongs to somebody else can't be written to.
  cacheDir: ".cache/vitest",
  test: {
    include: ["test/**/*.test.ts"],
    // These need a real Kubernetes (make test-cluster), or minutes (make test-faults).
    exclude: ["test/cluster/**", "test/faults/full/**"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    allowOnly: false,
    reporters: ["default", "./scripts/plain-line-reporter.ts"],
  },
});
