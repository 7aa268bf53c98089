import type { Clock } from '../client/time.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import type { ReceivedMessage } from './received-message.js';

/** A reading that begins at a time asks for so much more, because the broker's clock may be ahead of ours; what is too early is left out here. */
const CLOCK_SKEW_MS = 60_000;

/** A place that was sought: behind a message, or what was published at a time (milliseconds since 1970). */
export type SeekTarget = MessageId | { readonly publishTimeMs: number };

/** How SUBSCRIBE names a place: behind a message, or so many seconds ago. */
export interface SubscribedPlace {
  readonly after: MessageId | undefined;
  readonly rollbackSeconds: number | undefined;
}

/**
 * Where a subscription goes on whose cursor is not kept at the broker: behind the last message that was handed out, or where it was told to begin. A
 * durable one goes on where the broker says, and none of this counts.
 */
export class CursorPlace {
  #after: MessageId | undefined;
  /** Nothing of that time or later was handed out yet. */
  #fromMs: number | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly durable: boolean,
    start: SeekTarget | undefined,
  ) {
    if (!durable && start !== undefined) {
      this.#set(start);
    }
  }

  /** What is handed out next stands behind it. */
  get after(): MessageId | undefined {
    return this.#after;
  }

  sought(target: SeekTarget): void {
    if (!this.durable) {
      this.#set(target);
    }
  }

  handedOut(id: MessageId): void {
    if (!this.durable) {
      this.#after = id;
      this.#fromMs = undefined;
    }
  }

  /** Whether a message was published before the time that was sought, and nothing of that time has come yet. */
  isTooEarly(message: ReceivedMessage): boolean {
    return this.#fromMs !== undefined && message.publishTimeMs < this.#fromMs;
  }

  subscribed(): SubscribedPlace {
    if (this.#fromMs === undefined) {
      return { after: this.#after, rollbackSeconds: undefined };
    }
    const backMs = this.clock.now() - this.#fromMs + CLOCK_SKEW_MS;
    return backMs > 0
      ? { after: MessageId.earliest, rollbackSeconds: Math.ceil(backMs / 1_000) }
      : { after: MessageId.latest, rollbackSeconds: undefined };
  }

  #set(target: SeekTarget): void {
    if (target instanceof MessageId) {
      this.#after = target;
      this.#fromMs = undefined;
    } else {
      this.#after = undefined;
      this.#fromMs = target.publishTimeMs;
    }
  }
}
