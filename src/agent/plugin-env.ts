/**
 * What plugins get of the agent's own environment: a meta plugin without a
 * kubeconfig finds the API server by it, and Kaloom's plugins how much to log.
 */
export function pluginEnv(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const passed = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "_CNI_LOGGING_LEVEL"];
  return {
    PATH: env["PATH"] ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...Object.fromEntries(passed.flatMap((key) => (env[key] === undefined ? [] : [[key, env[key]]]))),
  };
}
