import type { Platform } from "./platform.ts";
import type { Version } from "./version.ts";

export interface PackageOptions {
  /** What is installed, from the root on. */
  readonly tree: string;
  /** Where the package goes. */
  readonly out: string;
  readonly platform: Platform;
  readonly version: Version;
  /** Takes half a minute; for tests it needn't. */
  readonly compressed: boolean;
}
