import type { Clock, Timer } from '@smartpulse/resilience';
import type { AckCursor } from './ack-cursor.js';
import { MinHeap } from './min-heap.js';
import type { StoredMessage } from './stored-message.js';
import type { TopicLog } from './topic-log.js';

interface DelayedMessage {
  readonly dueMs: number;
  readonly message: StoredMessage;
}

/** The longest that a timer of the platform can wait; it would fire a longer one at once, again and again. What is due later is armed again. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * What a subscription delivers next: messages that came back first, lowest position first, then the log. Messages that must not come yet
 * wait outside, under one timer.
 */
export class MessageSource {
  readonly #returned = new MinHeap<StoredMessage>((message) => message.position);
  readonly #delayed = new MinHeap<DelayedMessage>((delayed) => delayed.dueMs);
  readonly #clock: Clock;
  readonly #log: TopicLog;
  readonly #cursor: AckCursor;
  readonly #onReady: () => void;
  #read: number;
  #timer: Timer | undefined;
  #timerDueMs = 0;
  #skipped = 0;

  constructor(clock: Clock, log: TopicLog, cursor: AckCursor, onReady: () => void) {
    this.#clock = clock;
    this.#log = log;
    this.#cursor = cursor;
    this.#read = cursor.floor;
    this.#onReady = onReady;
  }

  /** Messages that wait for their time. */
  get delayed(): number {
    return this.#delayed.size;
  }

  /** Messages that a non-durable subscription missed because the log was trimmed before it read them. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Takes the next message. `honourDelays`: messages with a delivery time wait for it. */
  next(honourDelays: boolean): StoredMessage | undefined {
    for (let message = this.#returned.pop(); message !== undefined; message = this.#returned.pop()) {
      if (!this.#cursor.has(message.position)) {
        return message;
      }
    }
    this.#skipTrimmed();
    for (let message = this.#log.at(this.#read); message !== undefined; message = this.#log.at(this.#read)) {
      this.#read++;
      if (this.#cursor.has(message.position)) {
        // Skipped by an operator before its turn came.
        continue;
      }
      const delayMs = honourDelays && message.deliverAtMs !== undefined ? message.deliverAtMs - this.#clock.now() : 0;
      if (delayMs <= 0) {
        return message;
      }
      this.giveBack(message, delayMs);
    }
    return undefined;
  }

  /** The message comes again, no sooner than `delayMs` from now. */
  giveBack(message: StoredMessage, delayMs: number): void {
    if (delayMs <= 0) {
      this.#returned.push(message);
      return;
    }
    this.#delayed.push({ dueMs: this.#clock.monotonic() + delayMs, message });
    this.#arm();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#returned.clear();
    this.#delayed.clear();
  }

  #skipTrimmed(): void {
    // What was delivered before it was trimmed is kept by its consumer, and may still come back.
    for (; this.#read < this.#log.head; this.#read++) {
      this.#cursor.add(this.#read);
      this.#skipped++;
    }
  }

  #arm(): void {
    const first = this.#delayed.peek();
    if (first === undefined || (this.#timer !== undefined && this.#timerDueMs <= first.dueMs)) {
      return;
    }
    this.#timer?.cancel();
    this.#timerDueMs = first.dueMs;
    const waitMs = Math.min(Math.max(0, first.dueMs - this.#clock.monotonic()), MAX_TIMER_MS);
    this.#timer = this.#clock.setTimer(waitMs, () => this.#release(), { unref: true });
  }

  #release(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonic();
    // A real timer may fire a little early; half a millisecond is not worth another one.
    for (
      let first = this.#delayed.peek();
      first !== undefined && first.dueMs <= nowMs + 0.5;
      first = this.#delayed.peek()
    ) {
      this.#delayed.pop();
      this.#returned.push(first.message);
    }
    this.#arm();
    this.#onReady();
  }
}
