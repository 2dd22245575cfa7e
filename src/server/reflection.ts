import {
  createRegistry,
  type DescFile,
  type DescService,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import * as v1 from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import * as v1alpha from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";

type Question = MessageShape<
  typeof v1.ServerReflectionRequestSchema | typeof v1alpha.ServerReflectionRequestSchema
>["messageRequest"];
type Answer =
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "errorResponse"; value: { errorCode: Code; errorMessage: string } };

/** gRPC server reflection, v1 and v1alpha, of these services and of its own two. */
export function serveReflection(
  router: ConnectRouter,
  services: readonly DescService[],
  options: { readonly shutdownSignal: AbortSignal } & Parameters<ConnectRouter["service"]>[2],
): void {
  const answer = createAnswers([...services, v1.ServerReflection, v1alpha.ServerReflection]);

  async function* serve<Request extends { host: string; messageRequest: Question }>(
    requests: AsyncIterable<Request>,
  ) {
    for await (const originalRequest of untilAborted(requests, options.shutdownSignal)) {
      const messageResponse = answer(originalRequest.messageRequest);
      yield { validHost: originalRequest.host, originalRequest, messageResponse };
    }
  }
  router.service(v1.ServerReflection, { serverReflectionInfo: (requests) => serve(requests) }, options);
  router.service(v1alpha.ServerReflection, { serverReflectionInfo: (requests) => serve(requests) }, options);
}

function createAnswers(services: readonly DescService[]): (question: Question) => Answer {
  const files = closureOf(services.map((service) => service.file));
  const registry = createRegistry(...files);
  const filesByName = new Map(files.map((file) => [file.proto.name, file]));

  function fileOf(symbol: string): DescFile | undefined {
    const type = registry.get(symbol);
    if (type) return type.file;
    // A method, a field or an enum's value: a member of what is named before the last dot.
    const dot = symbol.lastIndexOf(".");
    const parent = registry.get(symbol.slice(0, Math.max(dot, 0)));
    const member = symbol.slice(dot + 1);
    return parent && membersOf(parent).includes(member) ? parent.file : undefined;
  }

  return (question) => {
    switch (question.case) {
      case "listServices": {
        const service = services.map(({ typeName }) => ({ name: typeName }));
        return { case: "listServicesResponse", value: { service } };
      }
      case "fileByFilename":
        return filesAnswer(filesByName.get(question.value), question.value);
      case "fileContainingSymbol":
        return filesAnswer(fileOf(question.value), question.value);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = question.value;
        const extendee = registry.getMessage(containingType);
        const extension = extendee && registry.getExtensionFor(extendee, extensionNumber);
        return filesAnswer(extension?.file, `extension ${extensionNumber} of ${containingType}`);
      }
      case "allExtensionNumbersOfType": {
        const baseTypeName = question.value;
        if (!registry.getMessage(baseTypeName)) return notFound(baseTypeName);
        const extensionNumber = [...registry]
          .filter((type) => type.kind === "extension")
          .filter((extension) => extension.extendee.typeName === baseTypeName)
          .map(({ number }) => number);
        return { case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber } };
      }
      case undefined:
        return errorAnswer(Code.InvalidArgument, "the request asks nothing that this version knows");
    }
  };
}

/** The file and all that it imports, so that a client needs to ask only once. */
function filesAnswer(file: DescFile | undefined, name: string): Answer {
  if (!file) return notFound(name);
  const fileDescriptorProto = closureOf([file]).map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto),
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(name: string): Answer {
  return errorAnswer(Code.NotFound, `${name} isn't served here`);
}

function errorAnswer(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

function closureOf(files: readonly DescFile[]): DescFile[] {
  const closure = new Set<DescFile>();
  const add = (file: DescFile): void => {
    if (closure.has(file)) return;
    closure.add(file);
    file.dependencies.forEach(add);
  };
  files.forEach(add);
  return [...closure];
}

function membersOf(type: NonNullable<ReturnType<ReturnType<typeof createRegistry>["get"]>>): string[] {
  switch (type.kind) {
    case "service":
      return type.methods.map(({ name }) => name);
    case "message":
      return [...type.fields, ...type.oneofs].map(({ name }) => name);
    case "enum":
      return type.values.map(({ name }) => name);
    case "extension":
      return [];
  }
}

/** What comes in until the signal aborts; then it ends, whatever the client still keeps open. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  const aborted = Promise.withResolvers<{ done: true; value: undefined }>();
  const onAbort = (): void => aborted.resolve({ done: true, value: undefined });
  signal.addEventListener("abort", onAbort, { once: true });
  const iterator = source[Symbol.asyncIterator]();
  try {
    while (!signal.aborted) {
      const result = await Promise.race([iterator.next(), aborted.promise]);
      if (result.done) return;
      yield result.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
