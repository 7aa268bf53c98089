/** Sizes are these times a power of two: a batch of the usual 128 KiB and its header fit into the largest. */
const SMALLEST_BYTES = 320;
const SIZES = 10;
/** What a client keeps at most: the frames of some 5,000 messages of 1 KiB. */
const MAX_IDLE_BYTES = 8 * 1024 * 1024;

/**
 * Memory for SEND frames, used again when their receipts are there. The engine's garbage collector looks at its whole heap after each 64 MiB that
 * were allocated outside of it, however little lies on the heap: at a rate of 100 MiB/s that takes more time than sending does.
 */
export class FrameMemory {
  readonly #idle: ArrayBuffer[][] = Array.from({ length: SIZES }, () => []);
  #idleBytes = 0;

  /** What is kept for the next frames, in bytes. */
  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** At least so many bytes, with anything in them. */
  readonly take = (bytes: number): Buffer => {
    const size = sizeOf(bytes);
    const memory = this.#idle[size]?.pop();
    if (memory !== undefined) {
      this.#idleBytes -= memory.byteLength;
      return Buffer.from(memory);
    }
    return Buffer.allocUnsafeSlow(size < SIZES ? SMALLEST_BYTES << size : bytes);
  };

  /**
   * Nobody reads this any more: what was taken, or a view on it, and once only.
   *
   * @param bytes anything else is left alone.
   */
  giveBack({ buffer }: Buffer): void {
    const { byteLength } = buffer;
    const idle = this.#idle[sizeOf(byteLength)];
    const isOurs = buffer instanceof ArrayBuffer && byteLength === SMALLEST_BYTES << sizeOf(byteLength);
    if (isOurs && idle !== undefined && this.#idleBytes + byteLength <= MAX_IDLE_BYTES) {
      idle.push(buffer);
      this.#idleBytes += byteLength;
    }
  }
}

/** The place in the list of sizes; behind its end for what is larger than all of them. */
function sizeOf(bytes: number): number {
  return bytes <= SMALLEST_BYTES ? 0 : 32 - Math.clz32(Math.ceil(bytes / SMALLEST_BYTES) - 1);
}
