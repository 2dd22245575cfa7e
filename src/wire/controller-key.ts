/** The request header by which podplug's own controller, in a process of its own, proves that it is one. */
export const controllerKeyHeader = "podplug-controller-key";
