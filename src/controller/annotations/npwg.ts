import { networksAnnotation } from "../../kube/contract.ts";
import { readNetworks } from "../../kube/networks-annotation.ts";
import { keyed } from "../wanted.ts";
import type { AnnotationReader } from "./contract.ts";

/** The annotation of the Network Plumbing Working Group's standard, in both of its forms. */
export const npwgAnnotation: AnnotationReader = {
  annotation: networksAnnotation,
  owner: "annotation/npwg",
  namesTell: false,
  read(annotation = "", podNamespace) {
    const { selections, faults } = readNetworks(annotation);
    return faults.length > 0
      ? { kind: "invalid", fault: faults.join("; ") }
      : keyed(selections, podNamespace);
  },
};
