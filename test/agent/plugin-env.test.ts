import { expect, test } from "vitest";
import { pluginEnv } from "../../src/agent/plugin-env.ts";

test("plugins get the way to the API server and Kaloom's log level, and none of the agent's secrets", () => {
  const passed = {
    PATH: "/usr/sbin",
    KUBERNETES_SERVICE_HOST: "10.96.0.1",
    KUBERNETES_SERVICE_PORT: "443",
    _CNI_LOGGING_LEVEL: "3",
  };
  expect(pluginEnv({ ...passed, PODPLUG_TOKEN: "secret", CNI_ARGS: "K8S_POD_NAME=other" })).toEqual(passed);
});

test("without a PATH they get the usual one", () => {
  expect(pluginEnv({})).toEqual({ PATH: expect.stringContaining("/usr/sbin") });
});
