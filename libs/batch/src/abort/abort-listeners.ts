interface Watch<TTarget> {
  readonly targets: Set<TTarget>;
  readonly listener: () => void;
}

/**
 * Calls off what waits when its signal aborts. One listener per signal object, however many targets wait on it, and none when nobody does: a signal that lives as long as the process
 * collects nothing.
 */
export class AbortListeners<TTarget> {
  readonly #watches = new Map<AbortSignal, Watch<TTarget>>();
  readonly #calledOff: (target: TTarget, reason: unknown) => void;

  /** @param calledOff called once for each target, synchronously, when its signal aborts. */
  constructor(calledOff: (target: TTarget, reason: unknown) => void) {
    this.#calledOff = calledOff;
  }

  /** Signals that are listened to now. */
  get size(): number {
    return this.#watches.size;
  }

  /** Calls the target off when `signal` aborts. The signal has not aborted yet. */
  watch(signal: AbortSignal, target: TTarget): void {
    const known = this.#watches.get(signal);
    if (known !== undefined) {
      known.targets.add(target);
      return;
    }
    const targets = new Set([target]);
    const listener = (): void => {
      // Calling one off may free room for another, who then leaves the set before its turn.
      for (const each of targets) {
        this.#calledOff(each, signal.reason);
      }
      this.#watches.delete(signal);
    };
    this.#watches.set(signal, { targets, listener });
    signal.addEventListener('abort', listener, { once: true });
  }

  /** Forgets the target; does nothing when it is not watched. */
  unwatch(signal: AbortSignal, target: TTarget): void {
    const watch = this.#watches.get(signal);
    if (watch?.targets.delete(target) === true && watch.targets.size === 0) {
      this.#watches.delete(signal);
      signal.removeEventListener('abort', watch.listener);
    }
  }
}
