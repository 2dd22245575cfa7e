import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import * as grpc from "@grpc/grpc-js";
import { onTestFinished } from "vitest";

/** A grpc-js client, which shares no code with the server. */
export function createGrpcClient(address: string) {
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  onTestFinished(() => client.close());

  const pathOf = ({ parent, name }: { parent: { typeName: string }; name: string }): string =>
    `/${parent.typeName}/${name}`;
  const writer =
    (schema: DescMessage) =>
    (message: MessageShape<DescMessage>): Buffer =>
      Buffer.from(toBinary(schema, message));

  return {
    client,
    async call<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      request: MessageInitShape<I>,
      options: grpc.CallOptions = {},
    ): Promise<MessageShape<O>> {
      const { promise, resolve, reject } = Promise.withResolvers<MessageShape<O>>();
      client.makeUnaryRequest(
        pathOf(method),
        writer(method.input),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        create(method.input, request) as MessageShape<DescMessage>,
        new grpc.Metadata(),
        options,
        (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
      );
      return promise;
    },
    stream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodServerStreaming<I, O>,
      request: MessageInitShape<I>,
    ): grpc.ClientReadableStream<MessageShape<O>> {
      return client.makeServerStreamRequest(
        pathOf(method),
        writer(method.input),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        create(method.input, request) as MessageShape<DescMessage>,
      );
    },
    bidi<I extends DescMessage, O extends DescMessage>(method: {
      input: I;
      output: O;
      parent: { typeName: string };
      name: string;
    }): grpc.ClientDuplexStream<MessageShape<I>, MessageShape<O>> {
      return client.makeBidiStreamRequest(
        pathOf(method),
        writer(method.input) as (message: MessageShape<I>) => Buffer,
        (bytes: Buffer) => fromBinary(method.output, bytes),
      );
    },
  };
}

/** The error's details, as any gRPC client finds them in grpc-status-details-bin. */
export function statusOf(error: grpc.ServiceError): ConnectError | undefined {
  const [details] = error.metadata.get("grpc-status-details-bin");
  if (!Buffer.isBuffer(details)) return undefined;
  return findTrailerError(
    new Headers({ "grpc-status": `${error.code}`, "grpc-status-details-bin": details.toString("base64") }),
  );
}
