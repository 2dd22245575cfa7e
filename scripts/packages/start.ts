/**
 * The executable's first script. What the packages install beside it is in
 * lib/podplug next to its bin, wherever both were put.
 */
import { dirname, join } from "node:path";
import { getAssetKeys, getRawAsset } from "node:sea";
import { runProgram } from "./run-program.ts";

const asset = (name: string): Buffer | undefined =>
  getAssetKeys().includes(name) ? Buffer.from(getRawAsset(name)) : undefined;

runProgram({
  code: (part) => asset(`${part}.cjs`),
  compiled: (part) => asset(`${part}.cache`),
  directory: join(dirname(process.execPath), "../lib/podplug/bin"),
});
