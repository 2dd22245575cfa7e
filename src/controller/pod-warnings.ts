import type { Logger } from "../domain/log.ts";
import type { Pod, PodKey } from "../domain/pod.ts";
import type { EventRecorder, PodEventFacts } from "../kube/contract.ts";

/** What is wrong with a pod, told on it by topic: each once, however often it is found. */
export interface PodWarnings {
  /** All that is wrong about the topic now; told again only when it is something else, or was nothing meanwhile. */
  tell(key: PodKey, pod: Pod, topic: string, warnings: readonly PodEventFacts[]): void;
  /** The pod is gone. */
  forget(key: PodKey): void;
}

export function createPodWarnings(options: {
  readonly events: EventRecorder;
  readonly log: Logger;
}): PodWarnings {
  const { events, log } = options;
  const told = new Map<PodKey, { readonly uid: string; readonly texts: Map<string, string> }>();

  function textsOf(key: PodKey, { uid }: Pod): Map<string, string> {
    let memory = told.get(key);
    if (memory?.uid !== uid) {
      memory = { uid, texts: new Map() };
      told.set(key, memory);
    }
    return memory.texts;
  }

  return {
    tell(key, pod, topic, warnings) {
      const texts = textsOf(key, pod);
      const text = warnings.map(({ message }) => message).join("\n");
      if ((texts.get(topic) ?? "") === text) return;
      if (text === "") texts.delete(topic);
      else texts.set(topic, text);
      for (const each of warnings) {
        events.record(pod, each);
        log.info({ pod: key, event: each.reason, message: each.message }, "told in an event");
      }
    },
    forget: (key) => void told.delete(key),
  };
}
