import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";

// The kubelet's device-plugin API (k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1),
// with its few messages written by hand: it is spoken in this file alone.

/** Wherever the kubelet's own root directory is. */
const folder = "/var/lib/kubelet/device-plugins";

/** One length-delimited field of a message. */
const field = (number: number, value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
};
/** How many of them stand at the top of a message. */
function countOf(message: Buffer): number {
  let count = 0;
  for (let at = 0; at < message.length; at += 2 + (message[at + 1] ?? 0)) count += 1;
  return count;
}

const asBytes = {
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
};
const method = (name: string, responseStream = false) => ({
  path: `/v1beta1.DevicePlugin/${name}`,
  requestStream: false as const,
  responseStream,
  ...asBytes,
});

/** Offers these devices to the node's kubelet, as an SR-IOV device plugin does with virtual functions. */
export async function startDevicePlugin(
  resource: string,
  deviceIds: readonly string[],
): Promise<AsyncDisposable> {
  const endpoint = `${resource.replace("/", "-")}.sock`;
  const socketPath = `${folder}/${endpoint}`;
  if (existsSync(socketPath)) await rm(socketPath);
  const server = new grpc.Server();
  const devices = deviceIds.map((id) => field(1, Buffer.concat([field(1, id), field(2, "Healthy")])));
  type Answer = (error: null, bytes: Buffer) => void;
  server.addService(
    {
      options: method("GetDevicePluginOptions"),
      listAndWatch: method("ListAndWatch", true),
      allocate: method("Allocate"),
    },
    {
      options: (_call: unknown, answer: Answer) => answer(null, Buffer.alloc(0)),
      // Stays open: its end would take the devices away.
      listAndWatch: (call: { write(bytes: Buffer): void }) => call.write(Buffer.concat(devices)),
      allocate: ({ request }: { request: Buffer }, answer: Answer) =>
        answer(null, Buffer.concat(Array.from({ length: countOf(request) }, () => field(1, "")))),
    },
  );
  const bind = promisify(server.bindAsync.bind(server));
  await bind(`unix://${socketPath}`, grpc.ServerCredentials.createInsecure());

  const kubelet = new grpc.Client(`unix://${folder}/kubelet.sock`, grpc.credentials.createInsecure());
  const registered = Promise.withResolvers<void>();
  const registration = Buffer.concat([field(1, "v1beta1"), field(2, endpoint), field(3, resource)]);
  kubelet.makeUnaryRequest(
    "/v1beta1.Registration/Register",
    asBytes.requestSerialize,
    asBytes.responseDeserialize,
    registration,
    (error) => (error ? registered.reject(error) : registered.resolve()),
  );
  await registered.promise;
  kubelet.close();
  return {
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      await rm(socketPath, { force: true });
    },
  };
}
