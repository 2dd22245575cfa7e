import { once } from "node:events";
import { readFileSync } from "node:fs";
import { startAgent } from "../../src/agent.ts";
import { parseConfig } from "../../src/config.ts";
import { createLog } from "../../src/log.ts";
import { type KillPoint, withKillPoints } from "./kill-points.ts";

/*
 * The agent as a process that a test ends at a chosen point. It says `loaded`,
 * and `ready` once it was told to start and its recovery is complete; then its
 * parent may send the point to arm, and gets `armed` back.
 */

const [configFile = ""] = process.argv.slice(2);
process.on("disconnect", () => process.exit(0));
process.send?.("loaded");
await once(process, "message");

let point: KillPoint | undefined;
process.on("message", (armed: KillPoint) => {
  point = armed;
  process.send?.("armed");
});
const config = parseConfig(readFileSync(configFile, "utf8"), configFile);
const agent = await startAgent({
  config,
  env: process.env,
  log: createLog(config.log, process.stderr),
  parts: (own) => withKillPoints(own, () => point),
});
await agent.recovered;
process.send?.("ready");
