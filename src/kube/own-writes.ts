import { canonicalJson } from "../domain/json.ts";
import type { Pod } from "../domain/pod.ts";
import { networkStatusAnnotation } from "./contract.ts";

/**
 * What this process writes comes back to it by the watch. That is no news: to
 * look at the pod for it would cost about as much as the change itself.
 */
export interface OwnWrites {
  /** Before it is sent, as the watch may be faster than the answer. */
  note(uid: string, text: string): void;
  /** Whether the only thing that changed is network-status, to what was noted; true once for each note. */
  isEcho(before: Pod, now: Pod): boolean;
  forget(uid: string): void;
}

export function createOwnWrites(): OwnWrites {
  const texts = new Map<string, string>();
  return {
    note: (uid, text) => void texts.set(uid, text),
    isEcho(before, now) {
      const text = texts.get(now.uid);
      if (text === undefined || statusOf(now) !== text || statusOf(before) === text) return false;
      if (theRestOf(before) !== theRestOf(now)) return false;
      texts.delete(now.uid);
      return true;
    },
    forget: (uid) => void texts.delete(uid),
  };
}

function statusOf({ annotations }: Pod): string | undefined {
  return annotations[networkStatusAnnotation];
}

function theRestOf({ resourceVersion: _version, deletionTimestamp, ...pod }: Pod): string {
  const { [networkStatusAnnotation]: _status, ...annotations } = pod.annotations;
  return canonicalJson({ ...pod, annotations, deletionTimestamp: deletionTimestamp?.getTime() });
}
