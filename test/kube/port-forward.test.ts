import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { openCluster } from "../../src/kube/cluster.ts";
import { failure } from "../support/failure.ts";
import { createClusterWorld, podPath } from "./cluster-world.ts";

const pod = { namespace: "podplug", name: "agent" };

/** A pod whose port 7654 is a service of this machine, which sends back all it gets. */
async function createWorld() {
  const world = await createClusterWorld();
  onTestFinished(() => world[Symbol.asyncDispose]());
  world.setPod("podplug/agent");
  const echo = createServer((socket) => void socket.pipe(socket));
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  onTestFinished(() => void echo.close());
  world.server.ports.set(`${podPath("podplug/agent")}:7654`, (echo.address() as AddressInfo).port);
  const cluster = await openCluster({ kind: "kubeconfig", path: await world.writeKubeconfig() }, systemClock);
  onTestFinished(() => cluster[Symbol.dispose]());
  return { ...world, cluster };
}

test("what is written to a pod's port comes there, however much, and its answer comes back", async () => {
  const { cluster } = await createWorld();
  const stream = cluster.openPort(pod, 7654);
  const sent = Array.from({ length: 40_000 }, (_, index) => `line ${index}\n`).join("");
  stream.write(sent);
  let received = "";
  for await (const chunk of stream.setEncoding("utf8") as AsyncIterable<string>) {
    received += chunk;
    if (received.length === sent.length) break;
  }
  expect(received).toBe(sent);
});

test("a port that nobody listens at is UNREACHABLE, in the kubelet's words", async () => {
  const { cluster } = await createWorld();
  const stream = cluster.openPort(pod, 1);
  await expect(text(stream)).rejects.toEqual(failure("UNREACHABLE", "connection refused"));
});

test("what the API server refuses is told in its words, before anything is sent", async () => {
  const { cluster, server, removePod } = await createWorld();
  server.tokens.clear();
  const refused = cluster.openPort(pod, 7654);
  await expect(text(refused)).rejects.toEqual(failure("DENIED", "pods/portforward is forbidden"));
  server.tokens.add("first-token");
  removePod("podplug/agent");
  await expect(text(cluster.openPort(pod, 7654))).rejects.toEqual(failure("UNREACHABLE", "not found"));
});

test("a connection that is cut ends the stream, and one that is destroyed ends the connection", async () => {
  const { cluster, server } = await createWorld();
  const cut = cluster.openPort(pod, 7654);
  cut.write("x");
  await once(cut, "data");
  server.resetConnections();
  await expect(text(cut)).rejects.toEqual(failure("UNREACHABLE"));
  const left = cluster.openPort(pod, 7654);
  left.write("x");
  await once(left, "data");
  const { openConnections } = server;
  left.destroy();
  await expect.poll(() => server.openConnections).toBeLessThan(openConnections);
});
