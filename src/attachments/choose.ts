import { PodplugError } from "../domain/errors.ts";
import type { AttachmentChoice } from "../domain/node-api.ts";
import type { AttachmentRecord } from "./journal.ts";

/** The attachment that is meant, of one sandbox's; undefined when there is none. */
export function chooseAttachment(
  which: AttachmentChoice,
  records: readonly AttachmentRecord[],
): AttachmentRecord | undefined {
  switch (which.by) {
    case "interface":
      return records.find((record) => record.ifName === which.interface);
    case "id":
      return records.find((record) => record.id === which.attachmentId);
    case "network": {
      const [record, ...others] = records.filter((each) => isNamed(each, which.network));
      if (others.length === 0) return record;
      const names = [record, ...others].map((each) => each?.ifName).join(", ");
      throw new PodplugError(
        "INVALID_REQUEST",
        `network ${which.network} is attached as ${names}: name the interface instead`,
      );
    }
  }
}

/** `name` alone names a network in whatever namespace it is. */
function isNamed(record: AttachmentRecord, network: string): boolean {
  return record.network === network || record.network.split("/").at(-1) === network;
}
