import { Fifo } from '../collections/fifo.js';
import { PermitWindow } from './permit-window.js';
import type { ReceivedMessage } from './received-message.js';

/** What a {@link DeliveryQueue} needs of its consumer. */
export interface DeliveryPort {
  /** Whether the application takes messages, if they are permitted. */
  isTaking(): boolean;
  /** Hands one out. Never throws. */
  handOut(message: ReceivedMessage): void;
  /** Whether there is a broker that may be told of permits. */
  isAsking(): boolean;
  /** Tells the broker that it may send so many more. */
  ask(permits: number): void;
}

/** What was received and not handed out: hands out what is permitted and taken, then tells the broker what it may send. */
export class DeliveryQueue {
  readonly #waiting = new Fifo<ReceivedMessage>();
  readonly #window: PermitWindow;
  #draining = false;

  /** @param maxBytes of messages that are on the way or not done with; `undefined`: their number alone counts. */
  constructor(
    maxBytes: number | undefined,
    private readonly port: DeliveryPort,
  ) {
    this.#window = new PermitWindow(maxBytes);
  }

  /** Messages that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Messages that may still be handed out. */
  get allowed(): number {
    return this.#window.allowed;
  }

  /** Whether the broker has permits left. */
  get isAwaiting(): boolean {
    return this.#window.atBroker > 0;
  }

  permit(count: number): void {
    this.#window.allow(count);
    this.drain();
  }

  /** The broker sent an entry and charged `count` messages for it. */
  charged(count: number): void {
    this.#window.charged(count);
  }

  /** Not handed out before {@link drain}. */
  push(message: ReceivedMessage): void {
    this.#waiting.push(message);
    this.#window.queued(message.payload.byteLength);
  }

  /** Hands out what is allowed, then tells the broker what it may send. A listener that permits from inside does not nest. */
  drain(): void {
    if (this.#draining) {
      return;
    }
    this.#draining = true;
    while (this.#window.allowed > 0 && this.port.isTaking()) {
      const message = this.#waiting.shift();
      if (message === undefined) {
        break;
      }
      this.#window.handedOut();
      this.port.handOut(message);
    }
    this.#draining = false;
    if (this.port.isAsking()) {
      const due = this.#window.takeDue(this.#waiting.size);
      if (due > 0) {
        this.port.ask(due);
      }
    }
  }

  /** What waits comes again, or is nobody's any more. */
  clear(): void {
    for (const { payload } of this.#waiting.takeAll()) {
      this.#window.dropped(payload.byteLength);
    }
  }

  /** As {@link clear}; a new registration at the broker begins without permits. */
  detached(): void {
    this.#window.detached();
    this.clear();
  }
}
