import type { Writable } from 'node:stream';

/** A frame of so many bytes is worth a system call of its own. */
const LARGE_BYTES = 32 * 1024;

/**
 * Writes frames to a stream: the small ones of one turn of the event loop leave in one write. A large one leaves at once, with what waits in front of
 * it: a turn may fill many batches, and the broker stores the first while the next is being filled.
 */
export class TurnWriter {
  #corked = false;

  constructor(private readonly stream: Writable) {}

  write(frame: Uint8Array): void {
    if (frame.length >= LARGE_BYTES) {
      this.stream.write(frame);
      this.flush();
      return;
    }
    if (!this.#corked) {
      this.#corked = true;
      this.stream.cork();
      setImmediate(() => this.flush());
    }
    this.stream.write(frame);
  }

  /** Lets go what waits for the end of the turn. */
  flush(): void {
    if (this.#corked) {
      this.#corked = false;
      this.stream.uncork();
    }
  }
}
