import type { PodInterface } from "../../../domain/node-api.ts";
import type { Invocation } from "../invocation.ts";
import { type ColumnOptions, interfaceCells, interfaceTitles } from "./interface-columns.ts";
import { formatTable } from "./table.ts";

export function columnOptions({
  format,
  colours,
  now,
}: Pick<Invocation, "format" | "colours" | "now">): ColumnOptions {
  return { wide: format === "wide", colours, now: now() };
}

export function formatInterfaces(
  interfaces: readonly PodInterface[],
  invocation: Pick<Invocation, "format" | "colours" | "now">,
): string {
  const options = columnOptions(invocation);
  return formatTable([interfaceTitles(options), ...interfaces.map((one) => interfaceCells(one, options))]);
}
