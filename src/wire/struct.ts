import type { JsonObject as MutableJsonObject } from "@bufbuild/protobuf";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";

/** The same value: a google.protobuf.Struct is plain JSON, which a message reads and never changes. */
export function structToProto(value: JsonObject): MutableJsonObject {
  return value as MutableJsonObject;
}

/** Whether something lies below `levels` levels of objects and arrays. */
export function isDeeperThan(value: JsonValue, levels: number): boolean {
  const members: readonly JsonValue[] = Array.isArray(value)
    ? value
    : isJsonObject(value)
      ? Object.values(value)
      : [];
  return members.length > 0 && (levels === 0 || members.some((member) => isDeeperThan(member, levels - 1)));
}
