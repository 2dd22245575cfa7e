import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { createAuditLog } from "../src/log.ts";

test.each(["json", "pretty"] as const)("the audit is written at every level of the log, as %s", (format) => {
  const stream = new PassThrough();
  createAuditLog({ level: "error", format }, stream).info({ caller: "me" }, "audit");
  const line = String(stream.read());
  expect(line).toContain("audit");
  expect(line).toContain("me");
});
