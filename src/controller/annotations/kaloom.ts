import { z } from "zod";
import { messageOf } from "../../domain/errors.ts";
import { hashedNetName } from "../../domain/names.ts";
import { type NetworkSelection, normalizeSelection } from "../../domain/selection.ts";
import { keyed, wantsNothing } from "../wanted.ts";
import type { AnnotationReader } from "./contract.ts";

/** Where Kaloom's meta plugin looks for Networks, whatever an entry's namespace says. */
const networksNamespace = "default";

const entry = z.object({
  name: z.string(),
  namespace: z.string().nullish(),
  ifMac: z.string().nullish(),
  isPrimary: z.boolean().nullish(),
  podagentSkip: z.boolean().nullish(),
  upperLayers: z.array(z.string()).nullish(),
});

/**
 * The annotation of Kaloom's podagent: a JSON list of Networks, each under a
 * name made from the MD5 of the network's. Entries that are the pod's primary
 * network, or say that podagent skips them, are somebody else's. `upperLayers`
 * tells other networks' order and changes nothing about this one.
 */
export const kaloomAnnotation: AnnotationReader = {
  annotation: "networks",
  owner: "annotation/kaloom",
  namesTell: true,
  read(annotation = "", podNamespace) {
    if (annotation.trim() === "") return wantsNothing;
    try {
      const entries = z.array(entry).parse(JSON.parse(annotation));
      const names = new Set<string>();
      const selections = entries
        .filter(({ isPrimary, podagentSkip }) => !isPrimary && !podagentSkip)
        .map(({ name, ifMac }): NetworkSelection => {
          const ifName = hashedNetName(name, names);
          names.add(ifName);
          return normalizeSelection({
            name,
            namespace: networksNamespace,
            interface: ifName,
            mac: ifMac || undefined,
            source: "kaloom",
          });
        });
      return keyed(selections, podNamespace);
    } catch (error) {
      const fault =
        error instanceof z.ZodError
          ? error.issues.map(({ path, message }) => `${path.join(".")}: ${message.toLowerCase()}`).join("; ")
          : messageOf(error);
      return { kind: "invalid", fault };
    }
  },
};
