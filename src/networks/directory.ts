import { readdirSync } from "node:fs";
import { extname, join } from "node:path";
import type { Clock } from "../domain/clock.ts";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { abortError } from "../domain/signals.ts";
import type { NetworkCatalog } from "./contract.ts";
import { examine, isCurrent, type NetworkFile, stampOf } from "./network-files.ts";

export interface DirectoryCatalogOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Extensions in groups: a file of an earlier group comes before all of a later one. */
  readonly extensions?: readonly (readonly string[])[] | undefined;
}

/**
 * The networks in a directory of CNI configuration files (`.conflist`,
 * `.conf`, `.json`), by the names inside them; of two with one name, the file
 * whose name sorts first. They have no namespaces. Changes are seen at the
 * next look; a broken file hides no other network.
 */
export function createDirectoryCatalog({
  directory,
  clock,
  log,
  extensions = [["conflist", "conf", "json"]],
}: DirectoryCatalogOptions): NetworkCatalog {
  let known: ReadonlyMap<string, NetworkFile> = new Map();
  let shadows: ReadonlyMap<string, string> = new Map();

  async function look(signal: AbortSignal): Promise<readonly NetworkFile[]> {
    const files: NetworkFile[] = [];
    for (const fileName of namesIn(directory, extensions)) {
      if (signal.aborted) throw abortError(signal, `reading ${directory}`);
      const path = join(directory, fileName);
      const stamp = stampOf(path);
      if (stamp === undefined) continue;
      const before = known.get(path);
      files.push(
        before && isCurrent(before, stamp) ? before : await examine(path, stamp, clock.now(), signal),
      );
    }
    // All at once and without waiting, so that looks side by side tell each change once.
    report(files);
    known = new Map(files.map((file) => [file.path, file]));
    return files;
  }

  function report(files: readonly NetworkFile[]): void {
    for (const { path, stamp, fault } of files) {
      if (fault && known.get(path)?.stamp !== stamp) {
        log.warn({ file: path, reason: fault.reason, fault: fault.message }, "network file can't be used");
      }
    }
    const winners = new Map<string, string>();
    const shadowed = new Map<string, string>();
    for (const { path, name, fault } of files) {
      if (fault) continue;
      const winner = winners.get(name);
      if (winner === undefined) {
        winners.set(name, path);
        continue;
      }
      shadowed.set(path, winner);
      if (shadows.get(path) !== winner) {
        log.warn({ file: path, network: name, usedFile: winner }, "network file is shadowed by another one");
      }
    }
    shadows = shadowed;
  }

  return {
    async find({ name, namespace }, _podNamespace, signal) {
      const missing = (why: string): PodplugError =>
        new PodplugError("NETWORK_NOT_FOUND", `${why} in directory ${directory}`);
      if (signal.aborted) throw abortError(signal, `reading ${directory}`);
      if (name === undefined) throw missing("a configuration without a name isn't looked up");
      if (namespace !== undefined)
        throw missing(`network ${namespace}/${name} has a namespace: there are none`);

      const namesakes = (await look(signal)).filter((file) => file.name === name);
      const file = namesakes.find(({ fault }) => fault === undefined) ?? namesakes[0];
      if (file === undefined) throw missing(`no network ${name}`);
      if (file.config === undefined) throw file.fault ?? missing(`no network ${name}`);
      return { displayName: name, source: "directory", config: file.config };
    },
  };
}

function namesIn(directory: string, extensions: readonly (readonly string[])[]): readonly string[] {
  try {
    const names = readdirSync(directory)
      .filter((name) => !name.startsWith("."))
      .sort();
    return extensions.flatMap((group) => names.filter((name) => group.includes(extname(name).slice(1))));
  } catch (cause) {
    if (systemCodeOf(cause) === "ENOENT") return [];
    throw new PodplugError("UNREACHABLE", `can't list networks: ${messageOf(cause)}`, { cause });
  }
}
