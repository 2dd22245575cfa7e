import type { AttachmentState } from "../domain/attachment.ts";
import type { Failure } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import type { Target } from "../domain/target.ts";
import type { DefaultRoute } from "../interfaces/contract.ts";
import type { Sandbox } from "../sandbox/contract.ts";

/** What ADD ran with and answered: all that DEL needs, whatever became of the network's definition. */
export interface RecordedChain {
  readonly networkName: string;
  /** The exact configuration list, JSON text. */
  readonly config: string;
  readonly cniArgs: readonly (readonly [key: string, value: string])[];
  readonly capabilityArgs: JsonObject;
  /** Absent until ADD is complete. */
  readonly result?: JsonObject | undefined;
  /** The kernel's index of the interface after ADD; absent when ADD made no kernel interface. */
  readonly ifIndex?: number | undefined;
  /** The default routes that the attachment replaces, noted before its ADD; absent when it asks for none. */
  readonly routesBefore?: readonly DefaultRoute[] | undefined;
}

/** What the journal keeps of an attachment, identified by (sandbox.id, ifName). */
export interface AttachmentRecord {
  /** Unique for ever: attaching the same again gives another one. */
  readonly id: string;
  readonly state: AttachmentState;
  readonly sandbox: Sandbox;
  readonly ifName: string;
  /** What the caller named; decides whether it outlives a replaced sandbox. */
  readonly target: Target;
  /** The network's name for people: `namespace/name`, or the name alone. */
  readonly network: string;
  /** As it was asked for: without `interface` when the name was left to the node. */
  readonly selection: NetworkSelection;
  readonly owner: string;
  readonly key: string;
  /** The authenticated name of who asked. */
  readonly caller: string;
  readonly executor: string;
  readonly chain: RecordedChain;
  /** The cluster's meta plugin ran the ADD, at the pod's creation. */
  readonly adopted?: true | undefined;
  /** It must not be lost: once DEL is done it waits to be attached again, in its namespace or the pod's next one. */
  readonly restores?: true | undefined;
  /** An ADD of it may still be running in a daemon: its DEL is repeated until it can't be. */
  readonly late?: true | undefined;
  /** The chain of the attachment that this one takes the place of, until that one's DEL succeeded. */
  readonly replaces?: RecordedChain | undefined;
  readonly attachedAt?: Date | undefined;
  /** Why the last DEL failed. */
  readonly failure?: Failure | undefined;
}

/**
 * The durable memory of attachments. Failures are JOURNAL_FAILED. Nothing here
 * takes a signal: a record half written for a caller that left would be worse
 * than a write too many.
 */
export interface AttachmentJournal {
  /** Every record there is. What can't be read is set aside, or left where it is, with a warning, and never stops the rest. */
  load(): Promise<readonly AttachmentRecord[]>;
  /** Resolves when the record would survive a power failure. Replaces the one of the same (sandbox, interface). */
  write(record: AttachmentRecord): Promise<void>;
  /**
   * As `write`, for a record that completes the one that is there: after a
   * power failure either of both is found. No namespace outlives one, so both
   * come to the same then: DEL.
   */
  complete(record: AttachmentRecord): Promise<void>;
  /** Resolves when it would not come back after the process is killed. */
  remove(record: AttachmentRecord): Promise<void>;
  /**
   * How many records `load` may have missed: damaged ones that were set aside,
   * now or by an earlier run, and those of a newer version.
   */
  missing(): Promise<number>;
}

/** The record as it was before its ADD ran. */
export function asIntended(record: AttachmentRecord): AttachmentRecord {
  const { networkName, config, cniArgs, capabilityArgs } = record.chain;
  return {
    ...record,
    state: "attaching",
    chain: { networkName, config, cniArgs, capabilityArgs },
    adopted: undefined,
    restores: undefined,
    late: undefined,
    replaces: undefined,
    attachedAt: undefined,
    failure: undefined,
  };
}

/** A record's identity, as a map's key. */
export function recordKey({
  sandbox,
  ifName,
}: {
  readonly sandbox: Pick<Sandbox, "id">;
  readonly ifName: string;
}): string {
  return `${sandbox.id} ${ifName}`;
}
