import { create, createFileRegistry, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import * as v1 from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import * as v1alpha from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { eventually } from "./eventually.ts";
import { createGrpcClient } from "./grpc-client.ts";
import { type Started, startTestServer } from "./started-server.ts";

type Question = MessageShape<typeof v1.ServerReflectionRequestSchema>["messageRequest"];

/** Asks by grpc-js, one stream for all questions. */
async function ask({ port }: Started, version: "v1" | "v1alpha", questions: Question[]) {
  const client = createGrpcClient(`127.0.0.1:${port}`);
  const method = (version === "v1" ? v1 : v1alpha).ServerReflection.method.serverReflectionInfo;
  const stream = client.bidi(method as typeof v1.ServerReflection.method.serverReflectionInfo);
  const schema = version === "v1" ? v1.ServerReflectionRequestSchema : v1alpha.ServerReflectionRequestSchema;
  for (const messageRequest of questions) {
    stream.write(create(schema as typeof v1.ServerReflectionRequestSchema, { host: "h", messageRequest }));
  }
  stream.end();
  return (await Array.fromAsync(stream)) as MessageShape<typeof v1.ServerReflectionResponseSchema>[];
}

describe.each(["v1", "v1alpha"] as const)("reflection %s", (version) => {
  test("lists the services, itself among them", async () => {
    const [answer] = await ask(await startTestServer(), version, [{ case: "listServices", value: "*" }]);
    expect(answer?.validHost).toBe("h");
    expect(answer?.originalRequest?.messageRequest).toEqual({ case: "listServices", value: "*" });
    const names =
      answer?.messageResponse.case === "listServicesResponse"
        ? answer.messageResponse.value.service.map(({ name }) => name)
        : [];
    expect(names).toEqual([
      "podplug.v1.NodeService",
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
    ]);
  });

  test.each([
    ["fileContainingSymbol", "podplug.v1.NodeService"],
    ["fileContainingSymbol", "podplug.v1.NodeService.AttachNetwork"],
    ["fileContainingSymbol", "podplug.v1.WatchInterfacesResponse.Kind"],
    ["fileContainingSymbol", "podplug.v1.Target.netns"],
    ["fileByFilename", "podplug/v1/node.proto"],
  ] as const)("answers %s %s with files that are complete together", async (kind, value) => {
    const [answer] = await ask(await startTestServer(), version, [{ case: kind, value }]);
    if (answer?.messageResponse.case !== "fileDescriptorResponse") throw new Error("no files came");
    const file = answer.messageResponse.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    expect(file[0]?.name).toBe("podplug/v1/node.proto");
    expect(file.map(({ name }) => name)).toContain("buf/validate/validate.proto");
    // Dependencies first is what a file set wants.
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.toReversed() }));
    expect(registry.getService("podplug.v1.NodeService")?.methods).toHaveLength(6);
  });

  test("answers questions about extensions", async () => {
    const [numbers, byNumber, none] = await ask(await startTestServer(), version, [
      { case: "allExtensionNumbersOfType", value: "google.protobuf.FieldOptions" },
      {
        case: "fileContainingExtension",
        value: create(v1.ExtensionRequestSchema, {
          containingType: "google.protobuf.FieldOptions",
          extensionNumber: 1159,
        }),
      },
      { case: "allExtensionNumbersOfType", value: "no.Such" },
    ]);
    expect(numbers?.messageResponse).toMatchObject({ value: { extensionNumber: [1159, 1160] } });
    expect(byNumber?.messageResponse.case).toBe("fileDescriptorResponse");
    expect(none?.messageResponse).toMatchObject({
      case: "errorResponse",
      value: { errorCode: Code.NotFound },
    });
  });

  test.each(["", ".", "podplug.v1", "podplug.v1.NodeService.Nothing", "x.y.Z", "constructor"])(
    "says that there is no %j",
    async (value) => {
      const [answer] = await ask(await startTestServer(), version, [{ case: "fileContainingSymbol", value }]);
      expect(answer?.messageResponse).toMatchObject({
        case: "errorResponse",
        value: { errorCode: Code.NotFound },
      });
    },
  );
});

describe("health", () => {
  test("is told for the server and for its service, and follows the agent", async () => {
    const { server, port } = await startTestServer();
    const { call } = createGrpcClient(`127.0.0.1:${port}`);
    for (const service of ["", NodeService.typeName]) {
      expect((await call(Health.method.check, { service })).status).toBe(1);
    }
    server.setServing(false);
    expect((await call(Health.method.check, {})).status).toBe(2);
    const { statuses } = await call(Health.method.list, {});
    expect(Object.keys(statuses)).toEqual(["", NodeService.typeName]);
  });

  test("of an unknown service is NOT_FOUND, and watched it is SERVICE_UNKNOWN", async () => {
    const { url } = await startTestServer();
    const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
    const error = await client.check({ service: "no.Such" }).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.NotFound });
    for await (const { status } of client.watch({ service: "no.Such" })) {
      expect(status).toBe(3);
      break;
    }
  });

  test("is watched", async () => {
    const { server, url } = await startTestServer();
    const statuses: number[] = [];
    const controller = new AbortController();
    const client = createClient(Health, createGrpcTransport({ baseUrl: url }));
    const done = (async () => {
      for await (const { status } of client.watch({}, { signal: controller.signal })) statuses.push(status);
    })().catch((error: unknown) => ConnectError.from(error).code);
    await eventually(() => statuses.length === 1, "the first status comes");
    server.setServing(true);
    server.setServing(false);
    await eventually(() => statuses.length === 2, "the second status comes");
    server.setServing(true);
    await eventually(() => statuses.length === 3, "the third status comes");
    expect(statuses).toEqual([1, 2, 1]);
    controller.abort();
    expect(await done).toBe(Code.Canceled);
  });
});
