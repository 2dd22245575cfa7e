/**
 * Whether a runtime handler hides the pod's namespace from the pod, by its
 * name: gVisor reads the namespace's interfaces only when the sandbox starts,
 * and Kata Containers' guest sees none of its own accord. Handlers are named
 * by whoever configured the runtime (`kata-qemu`), shims by their makers
 * (`io.containerd.runsc.v1`).
 */
export function hidesNamespace(handler: string, pluggable: readonly string[]): boolean {
  return /(^|[-_.])(gvisor|runsc|kata)([-_.]|$)/i.test(handler) && !pluggable.includes(handler);
}
