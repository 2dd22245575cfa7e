/*
 * What commands do at the API server: a part of the program of its own, as the
 * Kubernetes client is the largest package of all.
 */
export { provideRequested } from "./certificates-program.ts";
export { openUsersCluster } from "./kubectl.ts";
