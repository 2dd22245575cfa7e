/** Writes the chart's values.schema.json, which holds the schema of the agent's configuration. */
import { z } from "zod";
import { configSchema } from "../src/config.ts";
import { writePage } from "./generated-page.ts";

const switched = z.strictObject({ enabled: z.boolean() });
const labels = z.record(z.string(), z.string());

const values = z
  .strictObject({
    image: z.strictObject({
      repository: z.string().min(1),
      tag: z.string(),
      pullPolicy: z.enum(["Always", "IfNotPresent", "Never"]),
      pullSecrets: z.array(z.string().min(1)),
    }),
    platform: z.enum(["auto", "containerd", "crio", "docker", "openshift"]),
    config: configSchema,
    tls: z.strictObject({
      enabled: z.boolean(),
      certificates: z.enum(["podplug", "cert-manager", "none"]),
    }),
    multus: switched,
    kaloom: switched,
    leastPrivilege: switched,
    monitoring: switched,
    networkPolicy: z.strictObject({
      enabled: z.boolean(),
      apiServerPorts: z.array(z.int().min(1).max(65_535)).min(1),
    }),
    admissionPolicy: switched,
    // Of Kubernetes, who looks at them itself.
    resources: z.looseObject({}),
    tolerations: z.array(z.looseObject({})),
    priorityClassName: z.string(),
    nodeSelector: labels,
    maxUnavailable: z.union([z.int().min(1), z.string().regex(/^[0-9]+%$/)]),
    podAnnotations: labels,
    // Helm's own, for charts that have this one within them.
    global: z.looseObject({}).optional(),
  })
  .partial();

// The draft that every Helm 3 and 4 reads.
const schema = z.toJSONSchema(values, { io: "input", target: "draft-7" });
const switchedTo = (name: string, enabled: boolean) => ({
  properties: { [name]: { properties: { enabled: { const: enabled } } } },
});
// The certificate that Prometheus asks with comes with the TLS port.
const monitoringNeedsTls = { anyOf: [switchedTo("monitoring", false), switchedTo("tls", true)] };

writePage(
  "deploy/helm/podplug/values.schema.json",
  `${JSON.stringify({ ...schema, ...monitoringNeedsTls }, null, 2)}\n`,
);
