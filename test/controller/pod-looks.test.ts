import { expect, test } from "vitest";
import { PodLooks } from "../../src/controller/pod-looks.ts";
import { attached, bareLink } from "./pod-interfaces.ts";

const eth0 = bareLink("eth0");
const net1 = attached("net1", { attachmentId: "one" });
const net2 = attached("net2");

test("a look with what its own steps changed is good for the status, once", () => {
  const looks = new PodLooks();
  const look = looks.begin("demo/web");
  look.saw([eth0, net1]);
  look.detached("one");
  look.attached(net2);
  expect(looks.take("demo/web")).toEqual([eth0, net2]);
  expect(looks.take("demo/web")).toBeUndefined();
});

test("an attachment that replaced another stands in its place", () => {
  const looks = new PodLooks();
  const look = looks.begin("demo/web");
  look.saw([eth0, net1]);
  const other = attached("net1");
  look.attached(other);
  expect(looks.take("demo/web")).toEqual([eth0, other]);
});

test("a look is worth nothing when others changed the pod since it began, and before it was taken", () => {
  const looks = new PodLooks();
  const look = looks.begin("demo/web");
  looks.distrust("demo/web");
  look.saw([eth0]);
  expect(looks.take("demo/web")).toBeUndefined();
  looks.begin("demo/web");
  expect(looks.take("demo/web")).toBeUndefined();
  expect(looks.take("demo/other")).toBeUndefined();
});
