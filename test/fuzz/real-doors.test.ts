import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBinary, toJsonString } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import { createFileJournal } from "../../src/attachments/file-journal.ts";
import { createFileSteps } from "../../src/attachments/file-steps.ts";
import { encodeRecord } from "../../src/attachments/record-file.ts";
import { readNetworkList } from "../../src/cni/network-list.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { createDirectExecutor } from "../../src/executor/direct.ts";
import { createInlineCatalog } from "../../src/networks/inline.ts";
import { startServer } from "../../src/server/server.ts";
import { attachRequestToProto } from "../../src/wire/requests.ts";
import { recordOf } from "../attachments/records.ts";
import { createWorld } from "../attachments/world.ts";
import { makeCni, untilDone } from "../cni/runtime.ts";
import { createNode, quiet } from "../controller/node.ts";
import { makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";
import { createKeptLog, methodPath, startTestServer } from "../server/started-server.ts";
import { attachRequest } from "../wire/domain-values.ts";
import { byteStrings, texts } from "./inputs.ts";
import { fuzz, fuzzTimeoutMs } from "./run.ts";
import { annotations, networkLists, outputs } from "./samples.ts";

/** `make fuzz` puts a hundredth of what it puts through them in process. */
const share = 0.01;

const methods = [
  "AttachNetwork",
  "DetachNetwork",
  "ListInterfaces",
  "CheckNetwork",
  "WatchInterfaces",
] as const;
const requests = fc.sample(attachRequest, { seed: 42, numRuns: 40 }).map(attachRequestToProto);
const jsonBodies = texts(requests.map((request) => toJsonString(proto.AttachNetworkRequestSchema, request)));
const protoBodies = byteStrings(
  requests.map((request) => toBinary(proto.AttachNetworkRequestSchema, request)),
);

/** Bytes as one message of a stream: its flags, its length, itself. */
function envelope(bytes: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

interface Request {
  readonly method: (typeof methods)[number];
  readonly type: string;
  readonly body: Uint8Array;
}

const streamed = (type: string): boolean => /grpc|connect/.test(type);
const bodies: fc.Arbitrary<Request> = fc
  .record({
    method: fc.constantFrom(...methods),
    content: fc.oneof(
      fc.record({
        type: fc.constantFrom("application/json", "application/connect+json"),
        bytes: jsonBodies.map((text) => Buffer.from(text)),
      }),
      fc.record({
        type: fc.constantFrom(
          "application/proto",
          "application/connect+proto",
          "application/grpc",
          "application/grpc-web+proto",
        ),
        bytes: protoBodies,
      }),
    ),
    // A frame whose flags or length lie.
    broken: fc.oneof(
      { weight: 6, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
  })
  .map(({ method, content: { type, bytes }, broken }) => ({
    method,
    type,
    body: streamed(type) && !broken ? envelope(bytes) : bytes,
  }));

/** The answer's HTTP status, and everything that was said in it. */
async function post(session: ClientHttp2Session, { method, type, body }: Request) {
  const stream = session.request({
    ":method": "POST",
    ":path": methodPath(method),
    "content-type": type,
    te: "trailers",
    // Watches don't end by themselves.
    ...(method === "WatchInterfaces" && { "grpc-timeout": "100m", "connect-timeout-ms": "100" }),
  });
  const { promise, resolve } = Promise.withResolvers<{ status: number; said: string }>();
  let status = 0;
  let said = "";
  stream.on("response", (headers) => {
    status = headers[":status"] ?? 0;
    said += JSON.stringify(headers);
  });
  stream.on("trailers", (trailers) => {
    said += JSON.stringify(trailers);
  });
  stream.setEncoding("latin1").on("data", (text: string) => {
    said += text;
  });
  stream.on("error", () => {});
  stream.once("close", () => resolve({ status, said }));
  stream.end(body);
  return await promise;
}

describe("no input breaks", () => {
  test(
    "the server, by whatever protocol it comes, and the server stays",
    async () => {
      const started = await startTestServer();
      const session = connectHttp2(started.url);
      onTestFinished(() => session.destroy());
      await fuzz(
        bodies,
        async (request) => {
          const { status, said } = await post(session, request);
          // For the protocol library, bytes that are no message are an internal error; nothing else is one.
          if (/parse(%20| )binary/.test(said)) return;
          expect(status).toBeLessThan(500);
          expect(said).not.toMatch(/"internal"|"unknown"|grpc-status(":"|: )(2|13)\b/);
        },
        { share },
      );
      const client = createClient(proto.NodeService, createGrpcTransport({ baseUrl: started.url }));
      expect((await client.getNodeInfo({})).nodeName).toBe("fake-node");
      expect(started.logged).toEqual([]);
    },
    fuzzTimeoutMs,
  );

  test(
    "an engine that is asked for an inline configuration over HTTP",
    async () => {
      await using plugins = await makePluginDirectory();
      await plugins.add("bridge");
      const world = await createWorld({
        networks: createInlineCatalog(),
        executor: createDirectExecutor({ cni: makeCni([plugins.path]) }),
      });
      await world.addNetns("/run/netns/a");
      const { log } = createKeptLog();
      const server = await startServer({
        apiFor: (caller) => world.engine.forCaller(caller),
        targetOf: world.engine.targetOf,
        listen: { tcp: { host: "127.0.0.1", port: 0, insecure: true } },
        log,
        audit: silentLogger,
        version: "0",
      });
      onTestFinished(() => server.close(0));
      const session = connectHttp2(`http://127.0.0.1:${server.addresses.tcp?.port}`);
      onTestFinished(() => session.destroy());
      await fuzz(
        texts(networkLists),
        async (config) => {
          const body = Buffer.from(
            JSON.stringify({
              target: { netns: "/run/netns/a" },
              network: { config: config.toWellFormed() },
              validateOnly: true,
            }),
          );
          const { status } = await post(session, { method: "AttachNetwork", type: "application/json", body });
          expect([200, 400, 403, 404, 409, 429, 501]).toContain(status);
        },
        { share },
      );
    },
    fuzzTimeoutMs,
  );

  test(
    "the controller by an annotation, and the next valid one is plugged",
    async () => {
      const node = await createNode();
      await node.addPod("web", "blue");
      await fuzz(
        texts(annotations),
        async (text) => {
          node.cluster.annotate("default/web", { "k8s.v1.cni.cncf.io/networks": text });
          await quiet();
        },
        { share },
      );
      node.cluster.annotate("default/web", { "k8s.v1.cni.cncf.io/networks": "red@eth9" });
      // Longer than any pause between two attempts.
      await node.clock.advance(600_000);
      expect(node.links("web")).toContain("eth9");
      await node.stopController();
    },
    fuzzTimeoutMs,
  );

  test(
    "the runtime of a plugin that prints it",
    async () => {
      await using plugins = await makePluginDirectory();
      const output = join(plugins.path, "output");
      await plugins.addProgram(
        "fuzzed",
        `#!/bin/sh\nread -r code <${output}.code\ncat ${output}\nexit "$code"\n`,
      );
      const cni = makeCni([plugins.path]);
      const network = readNetworkList('{"cniVersion":"1.0.0","name":"x","plugins":[{"type":"fuzzed"}]}', {
        source: "x",
      });
      const request = {
        containerId: "c-1",
        ifName: "net1",
        netnsPath: "/run/netns/a",
        network,
        cniArgs: [],
        capabilityArgs: {},
      };
      await fuzz(
        fc.tuple(byteStrings(outputs.map((text) => Buffer.from(text))), fc.constantFrom(0, 0, 1)),
        async ([bytes, code]) => {
          await writeFile(output, bytes);
          await writeFile(`${output}.code`, `${code}\n`);
          const outcome = await cni.add(request, untilDone).catch((error: unknown) => error);
          if (outcome instanceof Error) {
            expect(outcome).toBeInstanceOf(PodplugError);
            expect((outcome as PodplugError).kind).not.toBe("internal");
          }
        },
        { share },
      );
    },
    fuzzTimeoutMs,
  );

  test(
    "a journal that holds it, and the whole record beside it is there",
    async () => {
      const stateDir = await mkdtemp(join(tmpdir(), "podplug-fuzz-"));
      onTestFinished(() => rm(stateDir, { recursive: true, force: true }));
      const steps = createFileSteps();
      const make = () => createFileJournal({ stateDir, steps, log: silentLogger });
      const whole = recordOf();
      await (await make()).write(whole);
      const sample = Buffer.from(encodeRecord(recordOf({ ifName: "net2" })));
      const file = join(stateDir, "results", "fuzzed");
      await fuzz(
        byteStrings([sample]),
        async (bytes) => {
          await writeFile(file, bytes);
          const loaded = await (await make()).load();
          expect(loaded.map(({ ifName }) => ifName)).toContain(whole.ifName);
        },
        { share },
      );
    },
    fuzzTimeoutMs,
  );
});
