import { expect, test } from "vitest";
import { normalizeSelection } from "../../src/domain/selection.ts";

test.each(["net%d", "%", "a b", "a/b", "a:b", "..", "sixteen-bytes-ab"])(
  "an interface can't be called %j",
  (name) => {
    expect(() => normalizeSelection({ name: "blue", interface: name })).toThrow("isn't an interface name");
  },
);

test("hexadecimal digits may be written in either case", () => {
  const lower = { name: "blue", mac: "02:00:00:00:00:0a", ips: ["fd00::a/64"] };
  const upper = { name: "blue", mac: "02:00:00:00:00:0A", ips: ["FD00::A/64"] };
  expect(normalizeSelection(upper)).toEqual(lower);
  expect(() => normalizeSelection({ name: "blue", ips: ["fd00::a", "FD00::A"] })).toThrow("twice");
});
