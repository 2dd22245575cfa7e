import { expect } from "vitest";
import type { NodeApi } from "../../src/domain/node-api.ts";
import { kinds, type Reason, reasons } from "../../src/domain/reasons.ts";
import { type IpLink, makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";
import { postJson } from "./post-json.ts";

/** An agent that is asked for what it must refuse, and a namespace in which nothing is to change. */
export interface Refusals extends AsyncDisposable {
  readonly client: NodeApi;
  readonly socket: string;
  /** The namespace's path. */
  readonly netns: string;
  /** As JSON by HTTP/1.1: with this reason, its code and this in its message. */
  expectRefusal(method: string, body: unknown, reason: Reason, inMessage: string): Promise<void>;
  expectNothingChanged(): Promise<void>;
}

export async function createRefusals(): Promise<Refusals> {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await makeNode());
  const netns = stack.use(await makeNetns("refused"));
  const { client } = stack.use(await startAgentHere(node));
  const held = stack.move();
  return {
    client,
    socket: node.socket,
    netns: netns.path,

    async expectRefusal(method, body, reason, inMessage) {
      const answer = await postJson(node.socket, method, body);
      expect(answer.body).toMatchObject({
        code: kinds[reasons[reason].kind].code,
        message: expect.stringContaining(inMessage) as string,
        details: [{ type: "podplug.v1.Failure", debug: { reason } }],
      });
      expect(answer.status).toBeGreaterThanOrEqual(400);
    },

    async expectNothingChanged() {
      const names = (await netns.ipJson<IpLink[]>("addr")).map((link) => link.ifname);
      expect({ names, leases: await node.leases(), journal: await node.journalFiles() }).toEqual({
        names: ["lo"],
        leases: [],
        journal: [],
      });
    },

    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
