/**
 * Prints the licenses of what is in an image beside podplug and its base:
 *
 *   node scripts/image-licenses.ts PACKAGES NODE     packages.json of the bundle, Node's program
 */
import { readFileSync } from "node:fs";
import { licensesOf } from "./packages/licenses.ts";

const [packages, node] = process.argv.slice(2);
if (packages === undefined || node === undefined) throw new Error("usage: image-licenses.ts PACKAGES NODE");
process.stdout.write(licensesOf({ node }, JSON.parse(readFileSync(packages, "utf8")) as string[]));
