/**
 * The one table of what can go wrong. `docs/errors.md` is made from it, the
 * wire and the CLI translate by it, and a reconciler decides by it whether to
 * try again.
 */

/** A closed set of error classes: each has its Connect code and its exit code. */
export const kinds = {
  invalid: { code: "invalid_argument", exitCode: 2 },
  "not-found": { code: "not_found", exitCode: 3 },
  conflict: { code: "already_exists", exitCode: 1 },
  "not-ready": { code: "failed_precondition", exitCode: 1 },
  denied: { code: "permission_denied", exitCode: 4 },
  unauthenticated: { code: "unauthenticated", exitCode: 4 },
  unsupported: { code: "unimplemented", exitCode: 1 },
  "plugin-failed": { code: "aborted", exitCode: 1 },
  exhausted: { code: "resource_exhausted", exitCode: 1 },
  deadline: { code: "deadline_exceeded", exitCode: 1 },
  canceled: { code: "canceled", exitCode: 1 },
  unavailable: { code: "unavailable", exitCode: 5 },
  internal: { code: "internal", exitCode: 1 },
} as const;

export type ErrorKind = keyof typeof kinds;

interface ReasonFacts {
  readonly kind: ErrorKind;
  /** Whether the same request may succeed later without anybody changing its cause. */
  readonly transient: boolean;
  readonly cause: string;
  readonly cure: string;
}

/** Reasons are stable words: in RPC details, events, logs and metrics. Add to them, never rename one. */
export const reasons = {
  INVALID_REQUEST: {
    kind: "invalid",
    transient: false,
    cause: "A field of the request is missing, out of range, unknown or contradicts another one.",
    cure: "Correct the field that the message names.",
  },
  INVALID_SELECTION: {
    kind: "invalid",
    transient: false,
    cause: "The network selection breaks a rule of the Network Plumbing Working Group's standard.",
    cure: "Correct the key that the message names: interface, ips, mac, bandwidth, portMappings and so on.",
  },
  INVALID_CONFIGURATION: {
    kind: "invalid",
    transient: false,
    cause: "The agent's configuration file, or a command's options, can't be used.",
    cure: "Correct what the message names, in a file each fault by the path of its key, and start again (docs/configuration.md, podplug COMMAND --help).",
  },
  INVALID_NETWORK: {
    kind: "not-ready",
    transient: false,
    cause:
      "The network's CNI configuration can't be used: not JSON, without a name or plugins, or with a key of the wrong type.",
    cure: "Correct the network's definition; the message names the file or object and the key.",
  },
  NETWORK_NOT_FOUND: {
    kind: "not-found",
    transient: true,
    cause: "No network definition has the name that was asked for.",
    cure: "Check the spelling and the namespace, or create the definition; podplug looks again each time it is asked.",
  },
  CAPABILITY_NOT_DECLARED: {
    kind: "not-ready",
    transient: false,
    cause:
      "The selection asks for something (ips, mac, bandwidth, portMappings, …) that no plugin of the network declares as a capability.",
    cure: 'Add the capability to the plugin in the network\'s configuration, for example "capabilities": {"ips": true}, or leave the key out of the selection.',
  },
  GATEWAY_OUT_OF_REACH: {
    kind: "not-ready",
    transient: false,
    cause:
      "The selection asks for a default route through a gateway that can't be reached on its network's interface: none of the addresses that the network gave is in the gateway's subnet, or the link is down. What had been added was undone.",
    cure: "Correct the addresses or routes in the network's definition, which a reconciler notices by itself within a minute or two, or name another gateway in the selection.",
  },
  PLUGIN_NOT_FOUND: {
    kind: "not-ready",
    transient: true,
    cause: "The network's configuration names a CNI plugin that none of the configured directories holds.",
    cure: "Install the plugin in one of cni.binDirs, as an executable file.",
  },
  VERSION_UNSUPPORTED: {
    kind: "not-ready",
    transient: false,
    cause: "The configuration asks for a CNI version that podplug or the plugin doesn't speak.",
    cure: "Use a cniVersion from 0.1.0 to 1.1.0 that the plugin supports (podplug info lists podplug's).",
  },
  TARGET_NOT_FOUND: {
    kind: "not-found",
    transient: true,
    cause: "There is no such pod, container or network namespace on this node.",
    cure: "Check the name, and that the pod runs on this node, or that the namespace is in /run/netns (ip netns list); podplug list -A shows what is attached.",
  },
  TARGET_INVALID: {
    kind: "invalid",
    transient: false,
    cause:
      "The target isn't something to plug into: not a network namespace, the host's own, or of a kind that the configured runtime doesn't know.",
    cure: "Name what the node's runtime knows: a pod or its container, or with runtime netns a network namespace (--netns), by its path or its name in /run/netns.",
  },
  HOST_NETWORK: {
    kind: "invalid",
    transient: false,
    cause:
      "The pod or container uses the node's own network: what is plugged there is plugged into the node.",
    cure: "Name a pod with a network of its own (without hostNetwork: true).",
  },
  UID_MISMATCH: {
    kind: "not-found",
    transient: true,
    cause: "A pod of this name runs on this node, with another UID: it was deleted and made again.",
    cure: "Ask with the UID that the pod has now, or without one. A static pod's is its kubernetes.io/config.hash annotation.",
  },
  NAMESPACE_HIDDEN: {
    kind: "unsupported",
    transient: false,
    cause:
      "The pod's runtime (gVisor, Kata Containers) has a network stack of its own behind the namespace: an interface that is plugged there may not be seen inside.",
    cure: "Use a pod of another runtime class.",
  },
  SANDBOX_NOT_READY: {
    kind: "not-ready",
    transient: true,
    cause:
      "The pod has no running sandbox at the moment, or its namespace changed while it was being worked on.",
    cure: "Wait until the pod runs; a reconciler tries again by itself.",
  },
  POD_ENDING: {
    kind: "not-ready",
    transient: false,
    cause: "The pod is being deleted: what it has stays to its end, and nothing new is plugged into it.",
    cure: "Plug into its successor.",
  },
  ATTACHMENT_NOT_FOUND: {
    kind: "not-found",
    transient: false,
    cause: "The pod has no attachment with this interface, network or ID.",
    cure: "podplug list shows the attachments there are.",
  },
  INTERFACE_IN_USE: {
    kind: "conflict",
    transient: true,
    cause:
      "The interface name is taken in the pod: by its own network, by another owner's attachment, or by one with other attributes.",
    cure: "Choose another name (--interface), detach the present one first, or replace your own (--replace).",
  },
  KEY_IN_USE: {
    kind: "conflict",
    transient: false,
    cause: "The same owner has an attachment with this key and other attributes.",
    cure: "Use another key, or replace the attachment (--replace).",
  },
  OWNED_BY_OTHER: {
    kind: "denied",
    transient: false,
    cause: "The attachment was made by another owner.",
    cure: "Let its owner remove it, or force it if you may (--force).",
  },
  OWNER_RESERVED: {
    kind: "denied",
    transient: false,
    cause: "Owners that begin with annotation/ or intent/ are the controller's alone.",
    cure: "Leave the owner empty, or choose another one.",
  },
  NOT_DETACHABLE: {
    kind: "denied",
    transient: false,
    cause:
      "The interface isn't an attachment: lo, the pod's own network, or one that nobody plugged through podplug.",
    cure: "Leave it: it goes with the pod.",
  },
  NOT_ADOPTABLE: {
    kind: "conflict",
    transient: false,
    cause:
      "The interface isn't one that podplug can take over: it is of the pod's own network or of another network than the selection's, no CNI cache of the node tells how it was plugged, or the link is another one by now.",
    cure: "Leave it: it goes with the pod. Where the meta plugin keeps its cache elsewhere, name that in cni.cacheDirs.",
  },
  DEVICE_NOT_ALLOCATED: {
    kind: "denied",
    transient: false,
    cause: "The selection names a device that the kubelet didn't give to this pod.",
    cure: "Have the pod request the device's resource, and name one of the devices that it was given; as the node's root, use the Unix socket.",
  },
  UNSUPPORTED: {
    kind: "unsupported",
    transient: false,
    cause: "The request or the configuration asks for something that this version or this executor can't do.",
    cure: "Leave the key that the message names out, or use a version or an executor that has it.",
  },
  PLUGIN_FAILED: {
    kind: "plugin-failed",
    transient: true,
    cause: "A CNI plugin answered with an error.",
    cure: "Cure what the plugin's own message says, and ask again.",
  },
  PLUGIN_BAD_OUTPUT: {
    kind: "plugin-failed",
    transient: true,
    cause:
      "A CNI plugin answered with something other than a CNI result: nothing, no JSON, too much of it, or a result of an unknown version.",
    cure: "Run the plugin by hand with the same configuration; it breaks the CNI specification.",
  },
  PLUGIN_CRASHED: {
    kind: "plugin-failed",
    transient: true,
    cause: "A CNI plugin was ended by a signal, or couldn't be started.",
    cure: "Look at the node's memory and at the plugin's file; the message names the signal or the error.",
  },
  PLUGIN_TIMEOUT: {
    kind: "deadline",
    transient: true,
    cause: "A CNI plugin didn't finish in time and was ended, with all its children.",
    cure: "Look at what the plugin waits for, or raise cni.timeoutSeconds.",
  },
  PLUGIN_STUCK: {
    kind: "not-ready",
    transient: true,
    cause:
      "A plugin process of an earlier run of the agent doesn't end, though it was killed: it is stuck in the kernel. Beside it nothing may be done to its sandbox.",
    cure: "Find out what the process in the message waits for (/proc/PID/stack), such as a file server or a driver, and cure that; a reboot of the node ends it in any case. The agent goes on by itself then.",
  },
  CHECK_FAILED: {
    kind: "not-ready",
    transient: true,
    cause:
      "The attachment isn't as it should be: a plugin's CHECK says so, or the interface is gone, renamed or has lost an address.",
    cure: "Detach it and attach it again, or look for what changed it.",
  },
  INTERFACE_LEFT: {
    kind: "plugin-failed",
    transient: true,
    cause:
      "The plugins said that the interface is removed, but the kernel still has it (somebody renamed it, perhaps).",
    cure: "Remove the link by hand (ip -n NETNS link delete NAME); the record stays until the interface is gone.",
  },
  CLEANUP_PENDING: {
    kind: "not-ready",
    transient: true,
    cause:
      "An earlier attachment of this name is still being cleaned up: its DEL failed, or a daemon may still be running its ADD, and it is tried again.",
    cure: "Cure what its failure says (podplug list -o wide shows it), or wait.",
  },
  JOURNAL_FAILED: {
    kind: "internal",
    transient: true,
    cause:
      "The state directory can't be written: full, read-only or failing. Nothing was plugged without its record.",
    cure: "Make room in stateDir, or mount it writable.",
  },
  RESOURCE_EXHAUSTED: {
    kind: "exhausted",
    transient: true,
    cause:
      "A bound was reached: a request too large, too many calls in flight, a watcher that doesn't read fast enough, or more open files than the agent may have.",
    cure: "Ask for less at once, and try again; a watcher starts again with a new snapshot. For open files, raise the limit that the agent is started with (LimitNOFILE of its unit).",
  },
  UNAUTHENTICATED: {
    kind: "unauthenticated",
    transient: false,
    cause: "The caller showed no credentials, or none that are valid here.",
    cure: "Give a token made for audience podplug, or a client certificate that the agent trusts.",
  },
  DENIED: {
    kind: "denied",
    transient: false,
    cause:
      "The caller is known but may not do this; or the target may not: the network is of another namespace than its pod, and namespaceIsolation is on.",
    cure: "Use an account that may: for the socket root, or a member of api.socketGroup; in a cluster, ask an admin for the permission that the message names. Use a network of the pod's own namespace, or of one of globalNamespaces.",
  },
  DEADLINE_EXCEEDED: {
    kind: "deadline",
    transient: true,
    cause:
      "The caller's own deadline passed before the answer. A change that had begun goes on and ends well.",
    cure: "Ask again with the same request (it is idempotent), or give it more time (--timeout).",
  },
  CANCELED: {
    kind: "canceled",
    transient: true,
    cause: "The caller went away. A change that had begun goes on and ends well.",
    cure: "Ask again with the same request: it is idempotent.",
  },
  PRIVILEGE_MISSING: {
    kind: "not-ready",
    transient: true,
    cause:
      "The agent itself lacks a privilege that the work needs, on its node or, by its own account, at the API server.",
    cure: "Run it as root with the capability that the message names (CAP_SYS_ADMIN to look into network namespaces, CAP_NET_ADMIN for the plugins, CAP_SYS_PTRACE for /proc/PID/ns/net of other users' processes; for hostRoot CAP_SYS_PTRACE, CAP_SYS_ADMIN and CAP_SYS_CHROOT). When the message is the API server's, give the agent's account what deploy/rbac.yaml has, and look at its token or certificate.",
  },
  AGENT_STOPPING: {
    kind: "unavailable",
    transient: true,
    cause: "The agent is shutting down and takes no new work.",
    cure: "Try again when it is back.",
  },
  UNREACHABLE: {
    kind: "unavailable",
    transient: true,
    cause:
      "The agent doesn't answer at the given address; or it runs, and what it needs in its turn (the container runtime, for one) doesn't answer it.",
    cure: "Check that what the message names runs, and that --server, or the configuration, names its socket or port.",
  },
  ADDRESS_UNAVAILABLE: {
    kind: "unavailable",
    transient: true,
    cause:
      "The agent can't listen there at the moment: the node doesn't have the address (yet), another program has the port, or the host's name can't be resolved now.",
    cure: "Wait, as the service manager or the kubelet starts the agent again; if it stays so, give the node the address, stop the other program (ss -ltnp), or name another address in the configuration.",
  },
  AGENT_NOT_FOUND: {
    kind: "unavailable",
    transient: true,
    cause: "No pod of podplug's agent runs on the pod's node, or on any node, as far as the API server says.",
    cure: "Look at the DaemonSet and its node selector (kubectl get pods -n podplug -o wide), or name where its pods are: --agent-namespace.",
  },
  ACCOUNT_NOT_FOUND: {
    kind: "not-found",
    transient: false,
    cause: "There is no such service account to request a token of.",
    cure: "Create it and give it the rights it needs, or name another one: --service-account (docs/kubectl.md).",
  },
  INTERNAL: {
    kind: "internal",
    transient: true,
    cause: "podplug itself is at fault.",
    cure: "Report it with the agent's log.",
  },
} as const satisfies Record<string, ReasonFacts>;

export type Reason = keyof typeof reasons;

export function isReason(word: string): word is Reason {
  return Object.hasOwn(reasons, word);
}
