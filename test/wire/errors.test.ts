import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FailureSchema } from "../../gen/podplug/v1/node_pb.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { kinds, type Reason, reasons } from "../../src/domain/reasons.ts";
import { connectErrorOf, podplugErrorOf } from "../../src/wire/errors.ts";

const everyReason = Object.keys(reasons) as Reason[];
const word = fc.string({ unit: "binary", minLength: 1, maxLength: 100 });

function factsOf(error: PodplugError): object {
  const { reason, message, plugin, cniCode, details, retryAfterMs } = error;
  return { reason, message, plugin, cniCode, details, retryAfterMs };
}

describe("an error over the wire", () => {
  test("comes back with its reason and all that was said about it", () => {
    const facts = fc.record(
      {
        plugin: word,
        cniCode: fc.integer({ min: 1, max: 0xffff_ffff }),
        details: word,
        retryAfterMs: fc.integer({ min: 0, max: 1e9 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.constantFrom(...everyReason), word, facts, (reason, message, said) => {
        const error = new PodplugError(reason, message, said);
        expect(factsOf(podplugErrorOf(connectErrorOf(error)))).toEqual(factsOf(error));
      }),
    );
  });

  test("is RESOURCE_EXHAUSTED when the system has no descriptor left, and INTERNAL when nobody knows what it is", () => {
    const lacking = Object.assign(new Error("EMFILE: too many open files, pipe2"), { code: "EMFILE" });
    expect(podplugErrorOf(lacking).reason).toBe("RESOURCE_EXHAUSTED");
    expect(podplugErrorOf(new Error("oops")).reason).toBe("INTERNAL");
  });

  test.each(everyReason)("has the code that the table gives to %s", (reason) => {
    const { code } = connectErrorOf(new PodplugError(reason, "it failed"));
    expect(codeToString(code)).toBe(kinds[reasons[reason].kind].code);
  });

  test("keeps what isn't ours as INTERNAL, and its cause", () => {
    const cause = new TypeError("x is not a function");
    const error = connectErrorOf(cause);
    expect(error.code).toBe(Code.Internal);
    expect(error.findDetails(FailureSchema)[0]?.reason).toBe("INTERNAL");
    expect(error.cause).toMatchObject({ cause });
  });

  test("with a reason of a newer version degrades by its code and keeps the word", () => {
    const value = create(FailureSchema, { reason: "MOON_IN_HOUSE", message: "it failed", plugin: "bridge" });
    const error = new ConnectError("it failed", Code.FailedPrecondition, undefined, [
      { desc: FailureSchema, value },
    ]);
    expect(podplugErrorOf(error)).toMatchObject({
      reason: "SANDBOX_NOT_READY",
      message: "it failed (MOON_IN_HOUSE)",
      plugin: "bridge",
    });
  });

  test.each(["constructor", "__proto__", "toString", ""])("with %j for a reason doesn't crash", (reason) => {
    const value = create(FailureSchema, { reason });
    const error = new ConnectError("odd", Code.NotFound, undefined, [{ desc: FailureSchema, value }]);
    expect(podplugErrorOf(error).reason).toBe("TARGET_NOT_FOUND");
  });

  test("that has no detail is told apart by its code", () => {
    const reasonOf = (code: Code): Reason => podplugErrorOf(new ConnectError("it failed", code)).reason;
    expect(reasonOf(Code.Unavailable)).toBe("UNREACHABLE");
    expect(reasonOf(Code.Canceled)).toBe("CANCELED");
    expect(reasonOf(Code.DeadlineExceeded)).toBe("DEADLINE_EXCEEDED");
    expect(reasonOf(Code.InvalidArgument)).toBe("INVALID_REQUEST");
    expect(reasonOf(Code.ResourceExhausted)).toBe("RESOURCE_EXHAUSTED");
    expect(reasonOf(Code.Unauthenticated)).toBe("UNAUTHENTICATED");
    expect(reasonOf(Code.Unimplemented)).toBe("UNSUPPORTED");
    expect(reasonOf(Code.NotFound)).toBe("INTERNAL");
    expect(reasonOf(Code.Unknown)).toBe("INTERNAL");
  });

  test("of every code there is has a reason", () => {
    const codes = Object.values(Code).filter((code) => typeof code === "number");
    for (const code of codes)
      expect(everyReason).toContain(podplugErrorOf(new ConnectError("", code)).reason);
  });

  test("whose detail can't be read is told apart by its code", () => {
    const error = new ConnectError("gone", Code.Unavailable);
    error.details.push({ type: FailureSchema.typeName, value: new Uint8Array([0xff, 0xff, 0xff]) });
    expect(podplugErrorOf(error).reason).toBe("UNREACHABLE");
  });

  test("of the platform's own abort is CANCELED", () => {
    expect(podplugErrorOf(AbortSignal.abort().reason).reason).toBe("CANCELED");
  });

  test("fits into HTTP trailers, however much the plugin printed, and ends between characters", () => {
    const error = connectErrorOf(
      new PodplugError("PLUGIN_FAILED", "ä".repeat(5000), { details: "€".repeat(50_000) }),
    );
    const { message, details } = podplugErrorOf(error);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1024);
    expect(message).toMatch(/^ä+…$/u);
    expect(Buffer.byteLength(details ?? "")).toBeLessThanOrEqual(2048);
    expect(details).toMatch(/^€+…$/u);
  });

  test("with numbers that a plugin made up still arrives", () => {
    const error = new PodplugError("PLUGIN_FAILED", "odd", { cniCode: -1.5, retryAfterMs: Number.NaN });
    expect(podplugErrorOf(connectErrorOf(error))).toMatchObject({
      reason: "PLUGIN_FAILED",
      cniCode: undefined,
      retryAfterMs: undefined,
    });
  });
});
