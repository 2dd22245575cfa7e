import { InvalidArgumentError } from "commander";
import type { Bandwidth } from "../../../domain/selection.ts";
import { parseQuantity } from "./scalars.ts";

const keys: Readonly<Record<string, keyof Bandwidth>> = {
  ingress: "ingressRate",
  egress: "egressRate",
  "ingress-burst": "ingressBurst",
  "egress-burst": "egressBurst",
};

/** `ingress=10M,egress=1G,ingress-burst=1M`: bits per second, and bits. */
export function parseBandwidth(text: string): Bandwidth {
  const pairs = text.split(",").map((part): [keyof Bandwidth, number] => {
    const [word = "", amount = "", ...rest] = part.split("=");
    const key = keys[word.trim()];
    const quantity = parseQuantity(amount.trim());
    if (key === undefined || rest.length > 0) {
      throw new InvalidArgumentError(`Use ${Object.keys(keys).join(", ")}, as in ingress=10M,egress=1G.`);
    }
    if (quantity === undefined) {
      throw new InvalidArgumentError(
        `${JSON.stringify(amount)} isn't a count of bits such as 10M, 1.5G or 64Ki.`,
      );
    }
    return [key, quantity];
  });
  if (new Set(pairs.map(([key]) => key)).size < pairs.length) {
    throw new InvalidArgumentError("It says the same thing twice.");
  }
  return Object.fromEntries(pairs);
}
