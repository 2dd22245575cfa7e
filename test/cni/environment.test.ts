import fc from "fast-check";
import { expect, test } from "vitest";
import { pluginEnvironment } from "../../src/cni/environment.ts";
import { PodplugError } from "../../src/domain/errors.ts";

/** As plugins read it: KEY=VALUE between semicolons (CNI specification 1.1.0, section 2). */
function argsIn(text: string): readonly (readonly [string, string])[] {
  if (text === "") return [];
  return text.split(";").map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]);
}

const word = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom("K8S_POD_NAME", ";", "=", "a;K8S_POD_NAME=other", "\0", "\nCNI_COMMAND=DEL", "$(id)"),
);

test("no value of an argument becomes another argument or variable", () => {
  const inherited = { PATH: "/usr/bin" };
  fc.assert(
    fc.property(
      fc.array(fc.tuple(word, word), { maxLength: 4 }),
      word,
      word,
      (cniArgs, containerId, ifName) => {
        let env: Record<string, string>;
        try {
          env = pluginEnvironment(
            "ADD",
            { containerId, ifName, netnsPath: "/n", cniArgs },
            ["/bin"],
            inherited,
          );
        } catch (error) {
          expect(error).toBeInstanceOf(PodplugError);
          return;
        }
        expect(argsIn(env["CNI_ARGS"] ?? "")).toEqual(cniArgs);
        expect(env).toEqual({
          PATH: "/usr/bin",
          CNI_COMMAND: "ADD",
          CNI_CONTAINERID: containerId,
          CNI_NETNS: "/n",
          CNI_IFNAME: ifName,
          CNI_ARGS: env["CNI_ARGS"],
          CNI_PATH: "/bin",
        });
        expect(Object.values(env).join("")).not.toContain("\0");
      },
    ),
    { numRuns: 3_000 },
  );
});
