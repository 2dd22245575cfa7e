import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { messageOf, PodplugError } from "../domain/errors.ts";
import { abortError } from "../domain/signals.ts";

export interface UnixClientOptions {
  readonly socketPath: string;
  /** Who answers there, for messages: `the container runtime`. */
  readonly peer: string;
  /** How long one call may take. */
  readonly deadlineMs: number;
}

/**
 * Calls over one gRPC connection to a program's Unix socket, made at the first
 * call and made again by itself. Failures: TARGET_NOT_FOUND when the program
 * says so, UNSUPPORTED when it doesn't know the method, UNREACHABLE for
 * everything else.
 */
export interface UnixClient extends Disposable {
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    signal: AbortSignal,
  ): Promise<MessageShape<O>>;
}

const channelOptions = {
  // What kubelet allows: a full node's listing passes gRPC's own 4 MiB.
  "grpc.max_receive_message_length": 16 * 1024 * 1024,
  // The default grows to two minutes, in which a runtime that is back stays unheard of.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.enable_retries": 0,
  "grpc.enable_http_proxy": 0,
  // Its own connection, which ends with the client.
  "grpc.use_local_subchannel_pool": 1,
};

export function createUnixClient({ socketPath, peer, deadlineMs }: UnixClientOptions): UnixClient {
  const client = new Client(`unix://${socketPath}`, credentials.createInsecure(), channelOptions);

  function failureOf(error: unknown, what: string): PodplugError {
    const program = `${peer} at ${socketPath}`;
    if (!isServiceError(error)) {
      return new PodplugError("UNREACHABLE", `${program} can't be asked for ${what}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const { code, details } = error;
    switch (code) {
      case status.NOT_FOUND:
        return new PodplugError("TARGET_NOT_FOUND", details, { cause: error });
      case status.UNIMPLEMENTED:
        return new PodplugError("UNSUPPORTED", `${program} doesn't know ${what}: ${details}`, {
          cause: error,
        });
      case status.DEADLINE_EXCEEDED:
        return new PodplugError("UNREACHABLE", `${program} didn't answer ${what} within ${deadlineMs} ms`, {
          cause: error,
        });
      case status.UNAVAILABLE:
        return new PodplugError("UNREACHABLE", `${program} can't be reached: ${details}`, { cause: error });
      default:
        return new PodplugError("UNREACHABLE", `${program} failed at ${what}: ${details}`, { cause: error });
    }
  }

  return {
    async call(method, request, signal) {
      const what = `${method.parent.typeName}/${method.name}`;
      const doing = `asking ${peer} for ${method.name}`;
      if (signal.aborted) throw abortError(signal, doing);
      const { promise, resolve, reject } = Promise.withResolvers<MessageShape<typeof method.output>>();
      const call = client.makeUnaryRequest(
        `/${what}`,
        (message: MessageShape<typeof method.input>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes, { readUnknownFields: false }),
        create(method.input, request),
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error, answer) => {
          if (answer === undefined) reject(error);
          else resolve(answer);
        },
      );
      const onAbort = (): void => call.cancel();
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        return await promise;
      } catch (error) {
        if (signal.aborted) throw abortError(signal, doing);
        throw failureOf(error, method.name);
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
    [Symbol.dispose]: () => client.close(),
  };
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}
