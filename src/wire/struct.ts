import type { JsonObject as MutableJsonObject } from "@bufbuild/protobuf";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";

/** The same value: a google.protobuf.Struct is plain JSON, which a message reads and never changes. */
export function structToProto(value: JsonObject): MutableJsonObject {
  return value as MutableJsonObject;
}

/** Whether there are more than `count` values in it, at every level taken together. */
export function holdsMoreThan(value: JsonValue, count: number): boolean {
  let left = count;
  const walk = (each: JsonValue): boolean => {
    left -= 1;
    if (left < 0) return false;
    return Array.isArray(each) ? each.every(walk) : !isJsonObject(each) || Object.values(each).every(walk);
  };
  return !walk(value);
}
