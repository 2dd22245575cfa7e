// Writes an archive with the images of the cluster's pods, for `ctr images
// import`: a static busybox as an image of its own and, asleep, as the pause
// container of a sandbox. Nothing is pulled.
//
//   node test/cluster/images.ts BUSYBOX ARCHIVE
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

interface TarEntry {
  readonly name: string;
  readonly content?: Buffer;
  /** Where a symbolic link leads. */
  readonly linkTo?: string;
}

interface Blob {
  readonly digest: string;
  readonly content: Buffer;
}

const blockBytes = 512;

/** A POSIX ustar archive; what has neither content nor a target is a directory. */
function tar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const content = entry.content ?? Buffer.alloc(0);
    const padding = (blockBytes - (content.length % blockBytes)) % blockBytes;
    return [tarHeader(entry), content, Buffer.alloc(padding)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]);
}

function tarHeader({ name, content, linkTo }: TarEntry): Buffer {
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, offset: number, length: number): void => {
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, offset, "ascii");
  };
  header.write(name, 0, 100, "utf8");
  octal(0o755, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(content?.length ?? 0, 124, 12);
  octal(0, 136, 12);
  header.fill(" ", 148, 156);
  header.write(linkTo !== undefined ? "2" : content !== undefined ? "0" : "5", 156, "ascii");
  header.write(linkTo ?? "", 157, 100, "utf8");
  header.write("ustar\x0000", 257, "ascii");
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return header;
}

const blobs: Blob[] = [];

function descriptor(mediaType: string, content: Buffer) {
  const digest = createHash("sha256").update(content).digest("hex");
  blobs.push({ digest, content });
  return { mediaType, digest: `sha256:${digest}`, size: content.length };
}

function image(reference: string, layer: Buffer, entrypoint: readonly string[]) {
  const layerDescriptor = descriptor("application/vnd.oci.image.layer.v1.tar", layer);
  const config = {
    architecture: { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch,
    os: "linux",
    config: { Entrypoint: entrypoint, Env: ["PATH=/bin:/sbin:/usr/bin"] },
    rootfs: { type: "layers", diff_ids: [layerDescriptor.digest] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: descriptor("application/vnd.oci.image.config.v1+json", Buffer.from(JSON.stringify(config))),
    layers: [layerDescriptor],
  };
  return {
    ...descriptor(manifest.mediaType, Buffer.from(JSON.stringify(manifest))),
    annotations: { "io.containerd.image.name": reference },
  };
}

const [busybox, archive] = process.argv.slice(2);
if (busybox === undefined || archive === undefined) throw new Error("usage: images.ts BUSYBOX ARCHIVE");
const applets = execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n");
const layer = tar([
  { name: "bin/" },
  { name: "etc/" },
  { name: "tmp/" },
  { name: "bin/busybox", content: readFileSync(busybox) },
  ...applets
    .filter((applet) => applet !== "busybox")
    .map((applet) => ({ name: `bin/${applet}`, linkTo: "busybox" })),
]);
const index = {
  schemaVersion: 2,
  manifests: [
    image("cluster.local/busybox:1", layer, ["/bin/sh"]),
    image("cluster.local/pause:1", layer, ["/bin/sleep", "2147483647"]),
  ],
};
const unique = new Map(blobs.map((blob) => [blob.digest, blob.content]));
writeFileSync(
  archive,
  tar([
    { name: "oci-layout", content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { name: "index.json", content: Buffer.from(JSON.stringify(index)) },
    ...[...unique].map(([digest, content]) => ({ name: `blobs/sha256/${digest}`, content })),
  ]),
);
