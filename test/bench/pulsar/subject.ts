/** Sends to one topic. */
export interface Sender {
  /** Resolves when the broker has stored it. */
  send(payload: Uint8Array, key: string): Promise<unknown>;
  close(): Promise<unknown>;
}

/** Takes messages until it is closed; each is acknowledged when `onMessage` has returned. */
export interface Receiver {
  /** Resolves when so many are handled and acknowledged. */
  settled(messages: number): Promise<void>;
  close(): Promise<unknown>;
}

/** One way of publishing and consuming: the bare transport, the module over it, a peer. */
export interface Subject {
  sender(topic: string): Promise<Sender>;
  receiver(topic: string, subscription: string, onMessage: (payload: Uint8Array) => void): Promise<Receiver>;
  /** A producer for one message, as whoever has no pool makes it: created, sent, awaited, closed. */
  readonly sendAlone?: ((topic: string, payload: Uint8Array) => Promise<void>) | undefined;
  /** Records so many durations by the OpenTelemetry SDK and does nothing else: its part of what a measured message costs. */
  record?(times: number): void;
  close(): Promise<unknown>;
}

/** Says why this contestant cannot take part, in a sentence. */
export class NotHere extends Error {
  override readonly name = 'NotHere';
}

/** Bytes as a text, for those who know text only. */
export function textOf(payload: Uint8Array): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('latin1');
}

export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** Counts what is done and tells when it is enough. To look again and again would cost a slow contestant more for each message than a fast one. */
export class Milestone {
  #done = 0;
  #enough = Number.POSITIVE_INFINITY;
  #reached = (): void => {};

  /** One more is done. */
  passed(): void {
    this.#done++;
    if (this.#done >= this.#enough) {
      this.#reached();
    }
  }

  /** Resolves when so many are done. */
  reached(enough: number): Promise<void> {
    return new Promise((resolve) => {
      this.#enough = enough;
      this.#reached = resolve;
      if (this.#done >= enough) {
        resolve();
      }
    });
  }
}

/** Looks a thousand times a second: for a moment only. */
export async function until(isReached: () => boolean): Promise<void> {
  while (!isReached()) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
