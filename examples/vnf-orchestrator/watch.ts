import { on } from "node:events";
import type { NodeApi, Target } from "podplug";

export interface LinkWatch extends AsyncDisposable {
  /** Resolves once what has been detached so far satisfies. */
  until(isEnough: (detached: ReadonlySet<string>) => boolean, signal: AbortSignal): Promise<void>;
}

/** Tells what happens to a pod's attachments, from the time that it resolves. */
export async function watchLinks(
  api: NodeApi,
  target: Target,
  tell: (line: string) => void,
): Promise<LinkWatch> {
  const left = new AbortController();
  const detached = new Set<string>();
  const news = new EventTarget();
  const synced = Promise.withResolvers<void>();

  const follow = async (): Promise<void> => {
    for await (const event of api.watch({ target }, left.signal)) {
      if (event.kind === "synced") synced.resolve();
      else tell(`${event.kind} ${event.interface.name}`);
      if (event.kind === "detached") detached.add(event.interface.name);
      news.dispatchEvent(new Event("news"));
    }
  };
  const following = follow();
  await Promise.race([synced.promise, following]);

  return {
    async until(isEnough, signal) {
      if (isEnough(detached)) return;
      for await (const _news of on(news, "news", { signal })) if (isEnough(detached)) return;
    },
    async [Symbol.asyncDispose]() {
      left.abort();
      await following;
    },
  };
}
