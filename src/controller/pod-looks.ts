import type { PodInterface } from "../domain/node-api.ts";
import type { PodKey } from "../domain/pod.ts";

/**
 * A reconciler's look into a pod, with what its own steps have changed since:
 * good for the pod's status without another look, unless anybody else changed
 * something meanwhile.
 */
export class PodLook {
  #interfaces: readonly PodInterface[] | undefined;
  #trusted = true;

  saw(interfaces: readonly PodInterface[]): void {
    this.#interfaces = interfaces;
  }

  attached(one: PodInterface): void {
    this.#interfaces = [...(this.#interfaces ?? []).filter(({ name }) => name !== one.name), one];
  }

  detached(id: string): void {
    this.#interfaces = this.#interfaces?.filter(({ attachmentId }) => attachmentId !== id);
  }

  distrust(): void {
    this.#trusted = false;
  }

  get interfaces(): readonly PodInterface[] | undefined {
    return this.#trusted ? this.#interfaces : undefined;
  }
}

/** The last look into each pod, to be used once. */
export class PodLooks {
  readonly #looks = new Map<PodKey, PodLook>();

  /** Before the look is taken: what happens during it counts as later. */
  begin(key: PodKey): PodLook {
    const look = new PodLook();
    this.#looks.set(key, look);
    return look;
  }

  distrust(key: PodKey): void {
    this.#looks.get(key)?.distrust();
  }

  take(key: PodKey): readonly PodInterface[] | undefined {
    const interfaces = this.#looks.get(key)?.interfaces;
    this.#looks.delete(key);
    return interfaces;
  }
}
