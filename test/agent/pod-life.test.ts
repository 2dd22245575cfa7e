import { expect, test } from "vitest";
import { podLife } from "../../src/agent/pod-life.ts";
import { createFakeCluster } from "../fakes/fake-cluster.ts";

const web = { namespace: "demo", name: "web", uid: "u-1" };
const mirrored = { namespace: "demo", name: "etcd", uid: "hash-of-its-manifest" };

test("nothing is said of a pod before the API server told, nor without one", () => {
  expect(podLife(web, undefined)).toBe("unknown");
  expect(podLife(web, createFakeCluster({ synced: false }).pods)).toBe("unknown");
});

test("a pod lives until it is deleted, ends from then on, and stays so when it is deleted by force", () => {
  const cluster = createFakeCluster();
  cluster.setPod(web);
  expect(podLife(web, cluster.pods)).toBe("living");
  expect(podLife({ ...web, uid: undefined }, cluster.pods)).toBe("living");
  cluster.setPod({ ...web, deletionTimestamp: new Date(0) });
  expect(podLife(web, cluster.pods)).toBe("ending");
  cluster.removePod("demo/web");
  expect(podLife(web, cluster.pods)).toBe("ending");
});

test("a pod whose name another one has by now has ended, and one that was never there is gone", () => {
  const cluster = createFakeCluster();
  cluster.setPod(web);
  cluster.setPod({ ...web, uid: "u-2" });
  expect(podLife(web, cluster.pods)).toBe("ending");
  expect(podLife({ ...web, uid: "u-2" }, cluster.pods)).toBe("living");
  expect(podLife({ ...web, uid: "u-0" }, cluster.pods)).toBe("gone");
});

test("a static pod outlives its mirror", () => {
  const cluster = createFakeCluster();
  cluster.setPod({ ...mirrored, uid: "u-3", runtimeUid: mirrored.uid });
  expect(podLife(mirrored, cluster.pods)).toBe("living");
  cluster.removePod("demo/etcd");
  expect(podLife(mirrored, cluster.pods)).toBe("gone");
});
