import type { PodInterface } from "../../../domain/node-api.ts";
import type { Session } from "../session.ts";
import { type ColumnOptions, interfaceCells, interfaceTitles } from "./interface-columns.ts";
import { formatTable } from "./table.ts";

export function columnOptions({
  format,
  colours,
  now,
}: Pick<Session, "format" | "colours" | "now">): ColumnOptions {
  return { wide: format === "wide", colours, now: now() };
}

export function formatInterfaces(
  interfaces: readonly PodInterface[],
  session: Pick<Session, "format" | "colours" | "now">,
): string {
  const options = columnOptions(session);
  return formatTable([interfaceTitles(options), ...interfaces.map((one) => interfaceCells(one, options))]);
}
