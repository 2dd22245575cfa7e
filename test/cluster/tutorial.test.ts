import { test } from "vitest";
import { followTutorial } from "./support/tutorial.ts";

test("every command of the tutorial can be typed as it stands, and plugs and unplugs as it says", async () => {
  await followTutorial({ withAgent: true });
});
