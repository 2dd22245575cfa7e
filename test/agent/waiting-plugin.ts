import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type PluginDirectory, prints } from "../fixtures/plugins/plugin-directory.ts";
import { eventually } from "../server/eventually.ts";

/** A plugin, `waiting`, whose ADD goes on only when a test lets it; it makes nothing. */
export interface WaitingPlugin {
  /** Resolves once so many of its ADDs have begun. */
  begun(count?: number): Promise<void>;
  letGo(): Promise<void>;
}

export async function addWaitingPlugin(plugins: PluginDirectory): Promise<WaitingPlugin> {
  const gate = join(plugins.path, "gate");
  await plugins.add("waiting", {
    ADD: [`while [ ! -e '${gate}' ]; do sleep 0.02; done`, prints({ cniVersion: "1.0.0" })],
  });
  return {
    begun: (count = 1) =>
      eventually(async () => {
        const order = await plugins.order();
        return order.filter((call) => call === "waiting ADD").length >= count;
      }, "the plugin has begun"),
    letGo: () => writeFile(gate, ""),
  };
}
