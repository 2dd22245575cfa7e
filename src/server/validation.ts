import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { PodplugError } from "../domain/errors.ts";

/** Holds every request against the rules in its proto: INVALID_REQUEST with all violations. */
export function validateRequests(): Interceptor {
  const validator = createValidator();

  function check<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
    const result = validator.validate(schema, message);
    if (result.kind === "valid") return;
    if (result.kind === "error") throw result.error;
    const faults = result.violations.map(describeViolation).join(", ");
    throw new PodplugError("INVALID_REQUEST", `invalid request, ${faults}`);
  }

  async function* checked(schema: DescMessage, messages: AsyncIterable<MessageShape<DescMessage>>) {
    for await (const message of messages) {
      check(schema, message);
      yield message;
    }
  }

  return (next) => (request) => {
    const schema = request.method.input;
    if (request.stream) return next({ ...request, message: checked(schema, request.message) });
    check(schema, request.message);
    return next(request);
  };
}

function describeViolation({ field, message }: Violation): string {
  return field.length === 0 ? message : `${pathToString(field)} ${message}`;
}
