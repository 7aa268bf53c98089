/** What a message is taken to weigh before one was seen: as much as a broker stores by default. */
const UNKNOWN_BYTES = 5 * 1024 * 1024;
/** A smaller message than expected moves the expectation by so much of the difference, a larger one at once by all of it. */
const DECAY = 1 / 16;

/**
 * How many messages may be on the way so that they fit into a number of bytes, together with those that are held already. The protocol counts messages,
 * not bytes: what is to come is taken to weigh as much as what came of late.
 *
 * @example
 * ```ts
 * const budget = new PrefetchBudget(8_388_608);
 * budget.took(message.payload.byteLength);  // one has come
 * budget.released(message.payload.byteLength);  // it is done with
 * consumer.permit(Math.min(free, budget.room));
 * ```
 */
export class PrefetchBudget {
  #heldBytes = 0;
  #heldMessages = 0;
  #expectedBytes = UNKNOWN_BYTES;
  #seen = false;

  /** @param maxBytes of payloads that are held or on the way. */
  constructor(readonly maxBytes: number) {}

  /** Bytes of messages that came and are not done with. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Messages that may be on the way; one at least while none is held, however large it may be. */
  get room(): number {
    const fitting = Math.floor((this.maxBytes - this.#heldBytes) / this.#expectedBytes);
    return Math.max(fitting, this.#heldMessages === 0 ? 1 : 0);
  }

  /** A message has come. */
  took(bytes: number): void {
    this.#heldBytes += bytes;
    this.#heldMessages++;
    const weight = Math.max(1, bytes);
    this.#expectedBytes =
      !this.#seen || weight > this.#expectedBytes
        ? weight
        : this.#expectedBytes + (weight - this.#expectedBytes) * DECAY;
    this.#seen = true;
  }

  /** A message of so many bytes is done with. */
  released(bytes: number): void {
    this.#heldBytes = Math.max(0, this.#heldBytes - bytes);
    this.#heldMessages = Math.max(0, this.#heldMessages - 1);
    this.#tidy();
  }

  /** So many messages are done with, and nobody says which: each is taken to be one of the mean. */
  releasedSome(count: number): void {
    const done = Math.min(count, this.#heldMessages);
    if (done > 0) {
      this.#heldBytes -= (this.#heldBytes * done) / this.#heldMessages;
      this.#heldMessages -= done;
      this.#tidy();
    }
  }

  #tidy(): void {
    if (this.#heldMessages === 0) {
      this.#heldBytes = 0;
    }
  }
}
