import type { Config } from "../config.ts";
import { type IntentFile, openIntentFile } from "../contiv/intent-file.ts";
import { systemClock } from "../domain/clock.ts";
import type { Logger } from "../domain/log.ts";

/** Contiv's intent, and which of its Hosts this node is. */
export interface NodeIntent {
  readonly file: IntentFile;
  readonly hostName: string;
}

export function openIntent({ contiv }: Config, nodeName: string, log: Logger): NodeIntent | undefined {
  if (!contiv.intentFile) return undefined;
  const file = openIntentFile({ path: contiv.intentFile, clock: systemClock, log });
  return { file, hostName: contiv.hostLabel || nodeName };
}
