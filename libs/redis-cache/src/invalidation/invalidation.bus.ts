import type { EntryVersion } from '../version/entry-version.js';

/** What happened to a key; `flush` concerns the whole namespace. */
export type InvalidationAction = 'set' | 'refresh' | 'invalidate' | 'evict' | 'release' | 'flush';

/** A message of the backplane: never a value. */
export interface InvalidationMessage {
  /** The replica that wrote. */
  readonly source: string;
  readonly action: InvalidationAction;
  /** The full key; empty for `flush`. */
  readonly key: string;
  /** The stamp that the store reached; `null` where there is none (`evict`, `release`, `flush`). */
  readonly version: EntryVersion | null;
}

/** What a replica hears from the bus. */
export interface InvalidationListener {
  /** A message, in the order in which the store published it. */
  onMessage(message: InvalidationMessage): void;
  /** Messages may have been lost from now on: the first level is not to be trusted. */
  onUntrusted(reason: string): void;
  /** The subscription stands (again); everything read before this moment must be dropped. */
  onTrusted(): void;
}

/** A subscription that stands. */
export interface InvalidationSubscription {
  close(): Promise<void>;
}

/**
 * The backplane, as a port: tells every replica which keys changed.
 *
 * An implementer guarantees: messages of one store arrive in the order of publication while the subscription is trusted; a
 * message that may have been lost is announced by `onUntrusted` before any later message is delivered, and `onTrusted`
 * comes only after the subscription is acknowledged again. Duplicates are allowed.
 */
export abstract class InvalidationBus {
  /** Resolves when the subscription is acknowledged; calls `onTrusted` before it resolves. */
  abstract subscribe(channel: string, listener: InvalidationListener): Promise<InvalidationSubscription>;

  /**
   * Adds somebody who wants to know how long messages take, in milliseconds: from leaving this process to coming back to it, so that one clock measures. Answers how
   * to take it out again. A bus that does not know tells nothing.
   */
  observeLag(_observer: (lagMs: number) => void): () => void {
    return () => {};
  }
}
