import { nodeApiContract } from "../contracts/node-api.ts";
import { createWorld } from "./world.ts";

nodeApiContract(async () => {
  const world = await createWorld();
  let targets = 0;
  return {
    api: world.as("tester"),
    other: world.as("another"),
    async addTarget() {
      targets += 1;
      const path = `/run/netns/t${targets}`;
      return { target: await world.addNetns(path), linkNames: async () => world.linkNames(path) };
    },
    leases: async () => world.executor.leases().length,
    [Symbol.asyncDispose]: () => world.engine.drain(),
  };
});
