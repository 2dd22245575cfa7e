import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageHomes, rooms, speakMessages } from "./rooms.ts";
import { chainTo, type Import, importsOf, readSources } from "./source-imports.ts";

const root = join(import.meta.dirname, "../..");
const sources = readSources(root);
const imports = Array.from(sources, ([path, text]) => importsOf(path, text)).flat();
const names = rooms.map(({ name }) => name);

/** `cni` for src/cni/add.ts, `root` for src/agent.ts, `gen` for gen/…. */
function roomOf(path: string): string {
  const [top = "", room = ""] = path.split("/");
  if (top === "gen") return "gen";
  return room.endsWith(".ts") || room === "agent" ? "root" : room;
}

function whyOf(room: string): string {
  return rooms.find(({ name }) => name === room)?.why ?? "";
}

const between = imports.filter(
  // package.json, whose version the composition root tells, is in no room.
  ({ from, to, isPackage }) => !isPackage && to !== "package.json" && roomOf(from) !== roomOf(to),
);
const tell = ({ from, to }: Import, why: string): string => `${from} imports ${to}: ${why}`;

describe("imports between rooms", () => {
  test("lead to files that exist", () => {
    const astray = imports.filter(({ to, isPackage }) => !isPackage && !existsSync(join(root, to)));
    expect(astray.map((one) => tell(one, "there is no such file"))).toEqual([]);
  });

  test("start and end in rooms that the list knows", () => {
    const unknown = new Set(
      [...sources.keys()].map(roomOf).filter((room) => room !== "gen" && !names.includes(room)),
    );
    expect([...unknown], "add new rooms to test/architecture/rooms.ts, with their reason").toEqual([]);
  });

  test("go downwards only", () => {
    const upwards = between.filter(
      ({ from, to }) => roomOf(to) !== "gen" && names.indexOf(roomOf(to)) < names.indexOf(roomOf(from)),
    );
    expect(upwards.map((one) => tell(one, whyOf(roomOf(one.to))))).toEqual([]);
  });

  test("reach another room by its contract, except from the composition root", () => {
    const past = between.filter(({ from, to }) => {
      const open = rooms.find(({ name }) => name === roomOf(to))?.open;
      return roomOf(from) !== "root" && open !== undefined && !open.includes(basename(to));
    });
    expect(
      past.map((one) => tell(one, "import its contract, the composition root hands in the rest")),
    ).toEqual([]);
  });

  test("meet generated messages only where messages are spoken", () => {
    const strays = between.filter(
      ({ from, to }) => roomOf(to) === "gen" && !speakMessages.some((home) => from.startsWith(home)),
    );
    expect(strays.map((one) => tell(one, "foreign types become ours in wire; take the domain's"))).toEqual(
      [],
    );
  });
});

describe("imports of packages", () => {
  test.each(packageHomes)("$package stays at home", ({ package: pattern, homes, why }) => {
    const strays = imports.filter(
      ({ from, to, isPackage }) =>
        isPackage && pattern.test(to) && !homes.some((home) => from.startsWith(home)),
    );
    expect(strays.map((one) => tell(one, why))).toEqual([]);
  });

  test("are, in the domain, those of Node that only compute", () => {
    const pure = ["node:crypto", "node:net", "node:path", "node:util"];
    const strays = imports.filter(
      ({ from, to, isPackage }) => isPackage && roomOf(from) === "domain" && !pure.includes(to),
    );
    expect(strays.map((one) => tell(one, "the domain is pure: it does nothing and needs nothing"))).toEqual(
      [],
    );
  });
});

describe("what starts fast stays small", () => {
  // The CLI must answer within 150 ms of process time; each of these costs tens of them.
  const heavy =
    /^(zod|pino|koffi|prom-client)(\/|$)|^@bufbuild\/protovalidate$|^src\/(server|attachments|cni)\/|^src\/agent\.ts$/;
  const starts = [...sources.keys()].filter((path) => path === "src/main.ts" || roomOf(path) === "client");

  test("the program and the client load neither the agent nor what only it needs", () => {
    const chains = starts.map((start) => chainTo(start, imports, (to) => heavy.test(to)));
    expect(chains.filter((chain) => chain !== undefined).map((chain) => chain.join(" → "))).toEqual([]);
  });
});

test("an agent without an OTLP endpoint loads nothing that traces need", () => {
  const chain = chainTo("src/agent.ts", imports, (to) => /^src\/agent\/(traces|otlp-.*)\.ts$/.test(to));
  expect(chain?.join(" → ")).toBeUndefined();
});

describe("the environment", () => {
  test("is read by the composition root alone, so that a room's inputs are all in its options", () => {
    const readers = Array.from(sources).filter(
      ([path, text]) =>
        roomOf(path) !== "root" && /\bprocess\.(env|argv)\b/.test(text.replaceAll(/^\s*(\/\/|\*).*$/gm, "")),
    );
    expect(readers.map(([path]) => path)).toEqual([]);
  });
});
