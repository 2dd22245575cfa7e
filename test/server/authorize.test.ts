import { describe, expect, test } from "vitest";
import type { AttachRequest, NodeApi, PodInterface } from "../../src/domain/node-api.ts";
import type { NetworkSource } from "../../src/domain/selection.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import type { Access, Identity } from "../../src/server/auth/contract.ts";
import { createStaticAuthorizer, type StaticRule } from "../../src/server/auth/static-rules.ts";
import { authorize } from "../../src/server/authorize.ts";
import { createFakeNode } from "../fakes/fake-node-api.ts";
import { failure } from "../support/failure.ts";

const me: Identity = { name: "me", groups: ["operators"], extra: {}, reconciler: false, by: "token" };
const web = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;
const db = { kind: "pod", pod: { namespace: "demo", name: "db" } } as const;
const bare = { kind: "netns", netns: "/run/netns/a" } as const;

/** A node with an attachment of somebody else's in each of two pods and a bare namespace, and what `me` may do with it. */
async function createWorld(
  rules: readonly Partial<StaticRule>[],
  { sources = ["netAttachDef"] as readonly NetworkSource[] } = {},
) {
  const node = createFakeNode();
  const others = node.apiFor({ name: "other", reconciler: false });
  const made: PodInterface[] = [];
  for (const target of [web, db, bare]) {
    const request = { target, network: { name: "net-a", interface: "net9" } };
    made.push((await others.attach(request, signal)).interface);
  }
  const whole = rules.map((rule) => ({ users: ["me"], verbs: ["*"], resources: ["*"], ...rule }));
  let expired: Error | undefined;
  const api = authorize(node.apiFor(me), {
    identity: me,
    authorizer: createStaticAuthorizer(whole),
    sources,
    targetOf: node.targetOf,
    reauthenticate: async () => {
      if (expired) throw expired;
    },
  });
  const expire = (error: Error): void => {
    expired = error;
  };
  return { node, others, api, made, expire };
}

const mine: AttachRequest = { target: web, network: { name: "net-b", interface: "net1" } };
const inline: AttachRequest = {
  target: web,
  network: { config: '{"cniVersion":"1.0.0","name":"x","type":"bridge"}' },
};
const mapped: AttachRequest = {
  target: web,
  network: { name: "net-a", portMappings: [{ hostPort: 80, containerPort: 80 }] },
};

/** Each call, and all that it needs. */
const calls: readonly (readonly [string, (api: NodeApi) => Promise<unknown>, readonly Access[]])[] = [
  [
    "attach",
    (api) => api.attach(mine, signal),
    [
      { verb: "create", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "get", resource: "network-attachment-definitions", namespace: "demo", name: "net-b" },
    ],
  ],
  [
    "attach as a dry run",
    (api) => api.attach({ ...mine, validateOnly: true }, signal),
    [
      { verb: "create", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "get", resource: "network-attachment-definitions", namespace: "demo", name: "net-b" },
    ],
  ],
  [
    "attach with another namespace's network, replacing",
    (api) => api.attach({ ...mine, replace: true, network: { ...mine.network, namespace: "nets" } }, signal),
    [
      { verb: "create", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "delete", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "get", resource: "network-attachment-definitions", namespace: "nets", name: "net-b" },
    ],
  ],
  [
    "attach with an inline configuration",
    (api) => api.attach(inline, signal),
    [
      { verb: "create", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "create", resource: "podnetworks/config", namespace: "demo", name: "web" },
    ],
  ],
  [
    "attach with host ports",
    (api) => api.attach(mapped, signal),
    [
      { verb: "create", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "create", resource: "podnetworks/hostports", namespace: "demo", name: "web" },
      { verb: "get", resource: "network-attachment-definitions", namespace: "demo", name: "net-a" },
    ],
  ],
  [
    "attach from the directory",
    (api) => api.attach({ ...mine, network: { name: "net-b", source: "directory" } }, signal),
    [
      { verb: "create", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "get", resource: "directorynetworks", name: "net-b" },
    ],
  ],
  [
    "attach from Kaloom's networks",
    (api) => api.attach({ ...mine, network: { name: "net-b", source: "kaloom" } }, signal),
    [
      { verb: "create", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "get", resource: "kaloomnetworks", name: "net-b" },
    ],
  ],
  [
    "attach from contiv's intent",
    (api) =>
      api.attach({ ...mine, network: { name: "net-b", namespace: "tenant-a", source: "contiv" } }, signal),
    [
      { verb: "create", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "get", resource: "contivnetworks", name: "tenant-a.net-b" },
    ],
  ],
  [
    "attach from contiv's intent, of the tenant named as the pod's namespace",
    (api) => api.attach({ ...mine, network: { name: "net-b", source: "contiv" } }, signal),
    [
      { verb: "create", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "get", resource: "contivnetworks", name: "demo.net-b" },
    ],
  ],
  [
    "attach from contiv's intent, of a tenant that nothing tells",
    (api) =>
      api.attach(
        { target: { kind: "container", containerId: "4f" }, network: { name: "net-b", source: "contiv" } },
        signal,
      ),
    [
      { verb: "create", resource: "containers", name: "4f" },
      { verb: "get", resource: "contivnetworks" },
    ],
  ],
  [
    "attach to a bare namespace",
    (api) => api.attach({ target: bare, network: { name: "net-b", source: "directory" } }, signal),
    [
      { verb: "create", resource: "netns", name: "/run/netns/a" },
      { verb: "get", resource: "directorynetworks", name: "net-b" },
    ],
  ],
  [
    "attach to a container",
    (api) =>
      api.attach(
        { target: { kind: "container", containerId: "4f" }, network: { name: "net-b", source: "directory" } },
        signal,
      ),
    [
      { verb: "create", resource: "containers", name: "4f" },
      { verb: "get", resource: "directorynetworks", name: "net-b" },
    ],
  ],
  [
    "detach by force",
    (api) => api.detach({ target: web, which: { by: "interface", interface: "net9" }, force: true }, signal),
    [
      { verb: "delete", resource: "podnetworks", namespace: "demo", name: "web" },
      { verb: "delete", resource: "podnetworks/force", namespace: "demo", name: "web" },
    ],
  ],
  [
    "detach by an ID alone",
    (api) => api.detach({ which: { by: "id", attachmentId: "fake-2" }, force: true }, signal),
    [
      { verb: "delete", resource: "podnetworks", namespace: "demo", name: "db" },
      { verb: "delete", resource: "podnetworks/force", namespace: "demo", name: "db" },
    ],
  ],
  [
    "list of a pod",
    (api) => api.list({ target: web }, signal),
    [{ verb: "list", resource: "podnetworks", namespace: "demo", name: "web" }],
  ],
  [
    "check",
    (api) => api.check({ target: web, interface: "net9" }, signal),
    [{ verb: "get", resource: "podnetworks", namespace: "demo", name: "web" }],
  ],
  [
    "watch of a pod",
    async (api) => {
      for await (const event of api.watch({ target: web }, signal)) return event;
      return undefined;
    },
    [{ verb: "watch", resource: "podnetworks", namespace: "demo", name: "web" }],
  ],
];

function ruleFor({ verb, resource, namespace, name }: Access): Partial<StaticRule> {
  return {
    verbs: [verb],
    resources: [resource],
    ...(namespace === undefined ? {} : { namespaces: [namespace] }),
    ...(name === undefined ? {} : { names: [name] }),
  };
}

describe.each(calls)("%s", (_name, call, needs) => {
  test("is done with exactly what it needs", async () => {
    const { api } = await createWorld(needs.map(ruleFor));
    await expect(call(api)).resolves.not.toThrow();
  });

  test.each(needs.map((need, index) => [`${need.verb} ${need.resource}`, index] as const))(
    "is denied without %s, and nothing changes",
    async (what, index) => {
      const { api, node, made } = await createWorld(needs.toSpliced(index, 1).map(ruleFor));
      await expect(call(api)).rejects.toEqual(failure("DENIED", `me may not ${what}`));
      expect(node.attachments).toEqual(made);
    },
  );

  test("is denied to who may the same elsewhere", async () => {
    const elsewhere = needs.map((need) => ({ ...ruleFor(need), names: ["elsewhere"] }));
    const { api, node, made } = await createWorld(elsewhere);
    await expect(call(api)).rejects.toEqual(failure("DENIED"));
    expect(node.attachments).toEqual(made);
  });
});

test("a name without a source needs what every source of the node needs that it may come from", async () => {
  const sources = ["netAttachDef", "directory", "kaloom"] as const;
  const create = { verbs: ["create"], resources: ["podnetworks"] };
  const get = (resource: Access["resource"]) => ({ verbs: ["get"], resources: [resource] });
  const all = ["network-attachment-definitions", "directorynetworks", "kaloomnetworks"] as const;
  const { api } = await createWorld([create, ...all.map(get)], { sources });
  expect((await api.attach(mine, signal)).created).toBe(true);
  for (const lacking of all) {
    const rest = all.filter((each) => each !== lacking).map(get);
    const { api: other } = await createWorld([create, ...rest], { sources });
    await expect(other.attach(mine, signal)).rejects.toEqual(failure("DENIED", lacking));
  }
  // The directory has no networks of namespaces.
  const named = { ...mine, network: { ...mine.network, namespace: "demo" } };
  const { api: without } = await createWorld([create, get(all[0]), get(all[2])], { sources });
  expect((await without.attach(named, signal)).created).toBe(true);
});

test("a network of contiv's whose tenant nothing tells may be any: no rule about one of them counts", async () => {
  const create = { verbs: ["create"], resources: ["containers"] };
  const get = {
    verbs: ["get"],
    resources: ["contivnetworks"],
    names: ["undefined.net-b", "net-b", ".net-b"],
  };
  const { api } = await createWorld([create, get]);
  const target = { kind: "container", containerId: "4f" } as const;
  const attaching = api.attach({ target, network: { name: "net-b", source: "contiv" } }, signal);
  await expect(attaching).rejects.toEqual(failure("DENIED", "get contivnetworks"));
});

test("an ID that nobody has is nothing to detach, whoever asks", async () => {
  const { api } = await createWorld([]);
  expect(await api.detach({ which: { by: "id", attachmentId: "fake-99" } }, signal)).toEqual({
    detached: false,
  });
});

test("who the node is needs no permission", async () => {
  const { api } = await createWorld([]);
  expect((await api.info(signal)).nodeName).toBe("fake-node");
});

describe("a list of everything", () => {
  const seen = async (rules: readonly Partial<StaticRule>[]) => {
    const { api } = await createWorld(rules);
    return (await api.list({}, signal)).map(({ pod, netns }) => pod?.name ?? netns);
  };
  test("shows what the caller may see", async () => {
    expect(await seen([])).toEqual([]);
    expect(await seen([{ verbs: ["get"] }])).toEqual([]);
    expect(await seen([{ verbs: ["list"] }])).toEqual(["web", "db", "/run/netns/a"]);
    expect(await seen([{ resources: ["podnetworks"] }])).toEqual(["web", "db"]);
    expect(await seen([{ namespaces: ["demo"], resources: ["podnetworks"] }])).toEqual(["web", "db"]);
    expect(await seen([{ namespaces: ["else"] }])).toEqual([]);
    expect(await seen([{ names: ["db"] }])).toEqual(["db"]);
    expect(await seen([{ resources: ["netns"] }])).toEqual(["/run/netns/a"]);
  });
});

test("another's inline configuration is shown to those alone who may give one", async () => {
  const seen = async (rules: readonly Partial<StaticRule>[]) => {
    const { api, others } = await createWorld([{ verbs: ["list", "watch"] }, ...rules]);
    await others.attach({ ...inline, target: db }, signal);
    const shown = async (views: Promise<readonly PodInterface[]>) =>
      (await views).flatMap(({ selection }) => selection?.config ?? []);
    const told: PodInterface[] = [];
    for await (const event of api.watch({}, signal)) {
      if (event.kind === "synced") break;
      told.push(event.interface);
    }
    return [
      ...(await shown(api.list({}, signal))),
      ...(await shown(api.list({ target: db }, signal))),
      ...(await shown(Promise.resolve(told))),
    ];
  };
  expect(await seen([])).toEqual([]);
  expect(await seen([{ verbs: ["create"], resources: ["podnetworks/config"], names: ["web"] }])).toEqual([]);
  const { config } = inline.network;
  const may = { verbs: ["create"], resources: ["podnetworks/config"], names: ["db"] };
  expect(await seen([may])).toEqual([config, config, config]);
});

test("an inline configuration is shown to its owner", async () => {
  const { api, node } = await createWorld([{ verbs: ["list"] }]);
  await node.apiFor(me).attach(inline, signal);
  const views = await api.list({ target: web }, signal);
  expect(views.map(({ selection }) => selection?.config)).toContain(inline.network.config);
});

describe("a watch of everything", () => {
  test("shows what the caller may see, before and after", async () => {
    const { api, others } = await createWorld([{ verbs: ["watch"], names: ["db"] }]);
    const events = api.watch({}, signal)[Symbol.asyncIterator]();
    expect(await events.next()).toMatchObject({
      value: { kind: "present", interface: { pod: { name: "db" } } },
    });
    expect(await events.next()).toMatchObject({ value: { kind: "synced" } });
    await others.attach({ target: web, network: { name: "net-b" } }, signal);
    await others.attach({ target: db, network: { name: "net-b" } }, signal);
    expect(await events.next()).toMatchObject({
      value: { kind: "attached", interface: { pod: { name: "db" } } },
    });
  });

  test("shows nothing more once the caller's credentials no longer hold", async () => {
    const { api, others, expire } = await createWorld([{}]);
    const events = api.watch({}, signal)[Symbol.asyncIterator]();
    for (let count = 0; count < 4; count += 1) await events.next();
    expire(new Error("revoked"));
    await others.attach({ target: web, network: { name: "net-b" } }, signal);
    await expect(events.next()).rejects.toThrow("revoked");
  });
});

describe("a static rule", () => {
  const asked: Access = { verb: "get", resource: "podnetworks", namespace: "demo", name: "web" };
  const allows = async (rule: StaticRule, access = asked, identity = me) =>
    (await createStaticAuthorizer([rule])(identity, access, signal)).allowed;
  const all = { verbs: ["*"], resources: ["*"] };

  test("is for its users and groups alone", async () => {
    expect(await allows({ ...all, users: ["me"] })).toBe(true);
    expect(await allows({ ...all, groups: ["operators"] })).toBe(true);
    expect(await allows({ ...all, users: ["*"] })).toBe(true);
    expect(await allows({ ...all, users: ["operators"], groups: ["me"] })).toBe(false);
    expect(await allows(all)).toBe(false);
  });

  test("about one doesn't answer a question about all", async () => {
    const one = { ...all, users: ["me"], names: ["web"] };
    expect(await allows(one)).toBe(true);
    expect(await allows(one, { verb: "get", resource: "podnetworks" })).toBe(false);
    expect(
      await allows({ ...all, users: ["me"], names: ["*"] }, { verb: "get", resource: "podnetworks" }),
    ).toBe(true);
  });
});
