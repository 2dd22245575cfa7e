import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { ListPodResourcesResponseSchema } from "../../gen/podresources/v1/api_pb.ts";

/** A kubelet's pod-resources API on a Unix socket of its own. */
export interface FakeKubelet extends AsyncDisposable {
  readonly socketPath: string;
  /** Gives these to the pod, each to another container and as another resource. */
  allocate(pod: string, deviceIds: readonly string[]): void;
}

export async function startFakeKubelet(): Promise<FakeKubelet> {
  const directory = await mkdtemp(join(tmpdir(), "podplug-kubelet-"));
  const socketPath = join(directory, "kubelet.sock");
  const pods = new Map<string, string[]>();

  const list = () => {
    const podResources = [...pods].map(([pod, ids]) => {
      const [namespace = "", name = ""] = pod.split("/");
      const containers = ids.map((id, index) => ({
        name: `container-${index}`,
        devices: [{ resourceName: `example.org/vf-${index}`, deviceIds: [id] }],
      }));
      return { namespace, name, containers };
    });
    return Buffer.from(
      toBinary(ListPodResourcesResponseSchema, create(ListPodResourcesResponseSchema, { podResources })),
    );
  };

  const server = new grpc.Server();
  server.addService(
    {
      list: {
        path: "/v1.PodResourcesLister/List",
        requestStream: false,
        responseStream: false,
        requestSerialize: (bytes: Buffer) => bytes,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (bytes: Buffer) => bytes,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    },
    { list: (_call: unknown, answer: (error: null, bytes: Buffer) => void) => answer(null, list()) },
  );
  await promisify(server.bindAsync.bind(server))(
    `unix://${socketPath}`,
    grpc.ServerCredentials.createInsecure(),
  );

  return {
    socketPath,
    allocate: (pod, deviceIds) => void pods.set(pod, [...(pods.get(pod) ?? []), ...deviceIds]),
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
