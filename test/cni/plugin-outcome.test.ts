import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PluginExit } from "../../src/cni/exec-plugin.ts";
import { failureOfExit, failureOfRun } from "../../src/cni/plugin-outcome.ts";
import { PodplugError } from "../../src/domain/errors.ts";

const exit = (rest: Partial<PluginExit> = {}): PluginExit => ({
  exitCode: 1,
  signal: null,
  stdout: "",
  stderr: "",
  ...rest,
});
const failure = (rest: Partial<PluginExit>) => failureOfExit(exit(rest), "bridge", "ADD");
const error = (rest: object) => JSON.stringify({ cniVersion: "1.0.0", ...rest });
const untilDone = new AbortController().signal;

describe("an exit", () => {
  test("with 0 is success, whatever was printed", () => {
    expect(
      failureOfExit(exit({ exitCode: 0, stdout: error({ code: 7, msg: "no" }) }), "bridge", "ADD"),
    ).toBeUndefined();
  });

  test("with an error on stdout says its code, message and details", () => {
    expect(
      failure({ stdout: error({ code: 7, msg: "bad network", details: "vlan 9999" }), stderr: "noise" }),
    ).toMatchObject({
      reason: "PLUGIN_FAILED",
      plugin: "bridge",
      cniCode: 7,
      message: "plugin bridge failed ADD with code 7: bad network",
      details: "vlan 9999",
      retryAfterMs: undefined,
    });
  });

  test("with an error on stderr alone says the same", () => {
    expect(failure({ stderr: error({ code: 100, msg: "no lease" }) })).toMatchObject({
      cniCode: 100,
      message: expect.stringContaining("no lease"),
    });
  });

  test.each([
    [{ stdout: "panic: nil map" }, "panic: nil map"],
    [{ stderr: "ip: command not found\n" }, "ip: command not found"],
    [{ stdout: "[1]" }, "[1]"],
    [{ stdout: '{"unrelated":true}' }, '{"unrelated":true}'],
    [{ stdout: error({ code: 7 }) }, "exit code 1 and no message"],
    [{ exitCode: 3 }, "exit code 3 and no message"],
  ])("with %j quotes what there is", (said, quoted) => {
    expect(failure(said)).toMatchObject({
      reason: "PLUGIN_FAILED",
      message: expect.stringContaining(quoted),
    });
  });

  test("with a long message quotes its beginning", () => {
    expect(failure({ stderr: "x".repeat(100_000) })?.message.length).toBeLessThan(2100);
  });

  test("with code 3 is success for DEL alone", () => {
    const unknown = exit({ stdout: error({ code: 3, msg: "unknown container" }) });
    expect(failureOfExit(unknown, "bridge", "DEL")).toBeUndefined();
    for (const command of ["ADD", "CHECK", "GC", "STATUS"] as const) {
      expect(failureOfExit(unknown, "bridge", command)).toMatchObject({ cniCode: 3 });
    }
  });

  test("with code 11 says when to try again", () => {
    expect(failure({ stdout: error({ code: 11, msg: "busy" }) })).toMatchObject({
      transient: true,
      retryAfterMs: 5000,
    });
  });

  test.each([7.5, -1, "7", 1e300, null])("with the code %j has none", (code) => {
    expect(failure({ stdout: error({ code, msg: "odd" }) })).toMatchObject({
      reason: "PLUGIN_FAILED",
      cniCode: undefined,
    });
  });

  test("by a signal is a crash", () => {
    expect(failure({ exitCode: null, signal: "SIGSEGV", stderr: "core dumped" })).toMatchObject({
      reason: "PLUGIN_CRASHED",
      plugin: "bridge",
      message: "plugin bridge was ended by SIGSEGV during ADD",
      details: "core dumped",
    });
  });

  test("with anything but 0 is a PodplugError that names the plugin", () => {
    const output = fc.oneof(
      fc
        .record({ code: fc.jsonValue(), msg: fc.jsonValue(), details: fc.jsonValue() }, { requiredKeys: [] })
        .map((value) => JSON.stringify(value)),
      fc.json(),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 255 }), output, output, (exitCode, stdout, stderr) => {
        expect(failure({ exitCode, stdout, stderr })).toMatchObject({
          reason: "PLUGIN_FAILED",
          plugin: "bridge",
          message: expect.any(String),
        });
      }),
      { numRuns: 1500 },
    );
  });
});

describe("a run that never came to an exit", () => {
  test("by its deadline timed out", async () => {
    const signal = AbortSignal.timeout(0);
    await expect.poll(() => signal.aborted).toBe(true);
    expect(failureOfRun(signal.reason, "bridge", "ADD", signal)).toMatchObject({
      reason: "PLUGIN_TIMEOUT",
      plugin: "bridge",
      message: "plugin bridge didn't finish ADD in time",
    });
  });

  test.each([[new Error("caller left")], ["caller left"], [new PodplugError("AGENT_STOPPING", "stopping")]])(
    "by an abort was canceled: %s",
    (reason) => {
      const signal = AbortSignal.abort(reason);
      expect(failureOfRun(reason, "bridge", "ADD", signal)).toMatchObject({
        reason: "CANCELED",
        plugin: "bridge",
      });
    },
  );

  test("by the system couldn't be started", () => {
    const cause = Object.assign(new Error("spawn EAGAIN"), { code: "EAGAIN" });
    expect(failureOfRun(cause, "bridge", "ADD", untilDone)).toMatchObject({
      reason: "PLUGIN_CRASHED",
      plugin: "bridge",
      cause,
    });
  });

  test("by its output is named", () => {
    const cause = new PodplugError("PLUGIN_BAD_OUTPUT", "printed more than 5 bytes on stdout");
    expect(failureOfRun(cause, "bridge", "ADD", untilDone)).toMatchObject({
      reason: "PLUGIN_BAD_OUTPUT",
      plugin: "bridge",
      message: "plugin bridge during ADD printed more than 5 bytes on stdout",
    });
  });
});
