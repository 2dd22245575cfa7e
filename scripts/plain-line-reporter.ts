import type { Reporter, Vitest } from "vitest/node";

/**
 * Ends a run with `N passed, N failed`, for people and for CI. What failed
 * outside a test (a file that doesn't load, an unhandled rejection) counts as
 * one failure; so does a skipped test of a whole run, since what didn't run
 * showed nothing.
 */
export default function plainLineReporter(): Reporter {
  let vitest: Vitest | undefined;
  return {
    onInit(started) {
      vitest = started;
    },
    onTestRunEnd(modules, unhandledErrors) {
      const isWhole = vitest?.config.testNamePattern === undefined;
      let passed = 0;
      let failed = unhandledErrors.length;
      for (const module of modules) {
        failed += module.errors().length;
        for (const suite of module.children.allSuites()) failed += suite.errors().length;
        for (const test of module.children.allTests()) {
          const { state } = test.result();
          if (state === "passed") passed += 1;
          else if (state === "failed" || isWhole) failed += 1;
        }
      }
      if (failed > 0) process.exitCode = 1;
      process.stdout.write(`${passed} passed, ${failed} failed\n`);
    },
  };
}
