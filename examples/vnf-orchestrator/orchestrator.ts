/**
 * Puts a VNF's pod between two networks while it runs, looks whether it is
 * well connected, and takes the networks away again:
 *
 *   node orchestrator.ts NAMESPACE/POD LEFT RIGHT
 */
import { connectCluster } from "./connect.ts";
import { type Link, plug } from "./plug.ts";
import { watchLinks } from "./watch.ts";

const [podName = "", left = "", right = ""] = process.argv.slice(2);
const [namespace = "", name = ""] = podName.split("/");
const target = { kind: "pod", pod: { namespace, name } } as const;
const links: readonly Link[] = [
  { network: left, interface: "left" },
  { network: right, interface: "right" },
];
const signal = AbortSignal.timeout(60_000);

await using cluster = await connectCluster();
await using watch = await watchLinks(cluster, target, (line) => console.log(line));

for (const link of links) {
  const { ips, mac } = await plug(cluster, target, link, signal);
  console.log(`plugged ${link.interface} into ${link.network}: ${ips.join(", ")} ${mac}`);
}

// The plugins say whether all is as they made it, the kernel what there is.
for (const link of links) await cluster.check({ target, interface: link.interface }, signal);
const present = await cluster.list({ target }, signal);
const plugged = present.filter((one) => links.some((link) => link.interface === one.name));
if (plugged.length !== links.length || !plugged.every((one) => one.up)) {
  throw new Error(`of ${links.length} links ${plugged.filter((one) => one.up).length} are up`);
}
console.log(`verified ${plugged.map((one) => one.name).join(" and ")}`);

for (const link of links.toReversed()) {
  await cluster.detach({ target, which: { by: "interface", interface: link.interface } }, signal);
}
await watch.until((gone) => links.every((link) => gone.has(link.interface)), signal);
console.log("unplugged");
