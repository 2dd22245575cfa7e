import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { completionScript } from "../../src/client/cli/completion/scripts.ts";
import { shells } from "../../src/client/cli/completion/shells.ts";
import { executableIn } from "./executable.ts";
import { licensesOf } from "./licenses.ts";
import { manPage } from "./man-page.ts";
import type { Platform } from "./platform.ts";
import type { Version } from "./version.ts";

const root = join(import.meta.dirname, "../..");

/** Where an administrator's changes stay over an upgrade. */
export const configurationFiles = ["/etc/podplug/config.yaml"];

const completionPlaces = {
  bash: "/usr/share/bash-completion/completions/podplug",
  zsh: "/usr/share/zsh/site-functions/_podplug",
  fish: "/usr/share/fish/vendor_completions.d/podplug.fish",
} as const;

export interface TreeOptions {
  readonly platform: Platform;
  /** Where the executable was made. */
  readonly executable: string;
  readonly version: Version;
}

/** Lays out in `folder`, anew, what both packages install. */
export function layOut(folder: string, { platform, executable, version }: TreeOptions): void {
  // The modes are the packages', not the builder's.
  process.umask(0o022);
  rmSync(folder, { recursive: true, force: true });
  const place = (path: string): string => {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    return target;
  };
  const copy = (source: string, path: string, mode = 0o644): void => {
    copyFileSync(source, place(path));
    chmodSync(join(folder, path), mode);
  };
  const copyOwn = (source: string, path: string, mode?: number): void => copy(join(root, source), path, mode);
  const write = (path: string, content: string | Uint8Array): void =>
    writeFileSync(place(path), content, { mode: 0o644 });
  // Without a time or a name in it: the same in each build.
  const writePacked = (path: string, text: string): void => write(`${path}.gz`, gzipSync(text, { level: 9 }));
  const read = (path: string): string => readFileSync(join(root, path), "utf8");

  const { program, koffi, packages } = executableIn(executable);
  copy(program, "/usr/bin/podplug", 0o755);
  // By these names it is kubectl's plugin.
  for (const name of ["kubectl-podplug", "kubectl_complete-podplug"])
    symlinkSync("podplug", place(`/usr/bin/${name}`));
  copy(koffi, "/usr/lib/podplug/koffi.node");
  copyOwn("plugins/podplug-uplink", "/usr/lib/podplug/plugins/podplug-uplink", 0o755);
  // The names of predecessors, not on anybody's PATH: links to them are put where those were.
  for (const name of ["podagent", "k8contivnet"])
    copyOwn(`bin/${name}`, `/usr/lib/podplug/bin/${name}`, 0o755);
  symlinkSync("../../../bin/podplug", place("/usr/lib/podplug/bin/podplug"));

  for (const unit of ["podplug.service", "podplug-token.service", "podplug-token.timer"]) {
    copyOwn(`deploy/systemd/${unit}`, `/usr/lib/systemd/system/${unit}`);
  }
  copyOwn("deploy/systemd/podplug-kubeconfig", "/usr/bin/podplug-kubeconfig", 0o755);
  copyOwn("deploy/systemd/renew-token", "/usr/lib/podplug/renew-token", 0o755);
  copyOwn("deploy/rbac.yaml", "/usr/share/podplug/rbac.yaml");
  copyOwn("deploy/systemd/token-rbac.yaml", "/usr/share/podplug/token-rbac.yaml");
  copyOwn("deploy/systemd/config.yaml", "/etc/podplug/config.yaml");
  mkdirSync(join(folder, "/etc/podplug/networks.d"));

  for (const shell of shells) write(completionPlaces[shell], completionScript(shell));
  const date = new Date(version.epoch * 1000).toISOString().slice(0, 10);
  const page = {
    version: version.name,
    date,
    seeAlso: ["podplug(1)", "podplug\\-config(5)", "podplug\\-kubeconfig(8)"],
  };
  writePacked(
    "/usr/share/man/man1/podplug.1",
    manPage({
      ...page,
      name: "podplug",
      section: 1,
      summary: "plug network interfaces into running pods, and unplug them",
      page: read("docs/cli.md"),
    }),
  );
  writePacked(
    "/usr/share/man/man5/podplug-config.5",
    manPage({
      ...page,
      name: "podplug-config",
      section: 5,
      summary: "the configuration of podplug's agent",
      page: read("docs/configuration.md"),
    }),
  );
  writePacked("/usr/share/man/man8/podplug-kubeconfig.8", read("deploy/systemd/podplug-kubeconfig.8"));
  writePacked("/usr/share/doc/podplug/changelog", read("CHANGELOG.md"));
  write("/usr/share/doc/podplug/copyright", `${copyright}\n${read("LICENSE")}`);
  const bundled = JSON.parse(readFileSync(packages, "utf8")) as readonly string[];
  writePacked("/usr/share/doc/podplug/third-party-licenses", licensesOf(platform, bundled));
}

const copyright = `podplug is licensed under the Apache License, Version 2.0, which follows.
What else is in its executable, Node.js and npm packages, has the licenses in
third-party-licenses.gz beside this file.
`;
