import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import Docker from "dockerode";
import { type Cluster, run } from "./cluster.ts";

/** podplug's image as a Docker engine built it. */
export interface BuiltImage {
  readonly reference: string;
  /** Of all layers, as a registry would keep them. */
  readonly compressedBytes: number;
  readonly labels: Readonly<Record<string, string>>;
}

const root = join(import.meta.dirname, "../../..");
const arch = process.arch === "arm64" ? "arm64" : "amd64";

/** The tree's, made anew; its base is the one that the Makefile had assembled. */
export async function makeImageContext(cluster: Cluster): Promise<string> {
  const folder = join(await cluster.makeFolder(), "context");
  await run(join(root, "deploy/image/context.sh"), [folder, join(root, ".cache/image/base"), arch]);
  return folder;
}

/** Builds `podplug:VERSION` and gives it to the kubelet's containerd. */
export async function buildImage({
  socketPath,
  context,
  version,
}: {
  readonly socketPath: string;
  readonly context: string;
  readonly version: string;
}): Promise<BuiltImage> {
  const docker = new Docker({ socketPath });
  const reference = `podplug:${version}`;
  const archive = spawn("tar", ["--create", "--directory", context, "."], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const buildargs = { TARGETARCH: arch, VERSION: version, COMMIT: "0123456789abcdef" };
  const progress = await docker.buildImage(archive.stdout, { t: reference, buildargs });
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()));
  });
  const image = docker.getImage(reference);
  const { Config } = await image.inspect();
  const saved = `${context}.${version}.tar`;
  await pipeline(await image.get(), createWriteStream(saved));
  await run("ctr", ["-n", "k8s.io", "images", "import", saved]);
  await rm(saved);
  return { reference, compressedBytes: await compressedBytesOf(reference), labels: Config.Labels ?? {} };
}

interface Manifest {
  readonly layers: readonly { readonly size: number; readonly mediaType: string }[];
}

async function compressedBytesOf(reference: string): Promise<number> {
  const listed = await run("ctr", ["-n", "k8s.io", "images", "list", `name==docker.io/library/${reference}`]);
  const [digest = ""] = /sha256:[0-9a-f]{64}/.exec(listed) ?? [];
  const { layers } = JSON.parse(await run("ctr", ["-n", "k8s.io", "content", "get", digest])) as Manifest;
  const plain = layers.find(({ mediaType }) => !/gzip|zstd/.test(mediaType));
  if (plain) throw new Error(`a layer of ${reference} isn't compressed: ${plain.mediaType}`);
  return layers.reduce((sum, { size }) => sum + size, 0);
}
