import { describe } from "vitest";
import type { Target } from "../../src/domain/target.ts";
import { nodeApiContract } from "../contracts/node-api.ts";
import { createFakeNode } from "../fakes/fake-node-api.ts";

describe("the node in memory", () => {
  nodeApiContract(async () => {
    const node = createFakeNode({ targets: [], networks: ["blue", "green"], plain: ["blue"], leases: true });
    let targets = 0;
    return {
      api: node.apiFor({ name: "one", reconciler: false }),
      other: node.apiFor({ name: "another", reconciler: false }),
      async addTarget() {
        targets += 1;
        const netns = `/run/netns/t${targets}`;
        const target: Target = { kind: "netns", netns };
        node.addTarget(target);
        const here = () => node.attachments.filter((each) => each.netns === netns);
        return { target, linkNames: async () => here().map(({ name }) => name) };
      },
      leases: async () => node.attachments.length,
      async [Symbol.asyncDispose]() {},
    };
  });
});
