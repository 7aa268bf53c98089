import { IntakeSlab } from './intake-slab.js';
import { checkedFrameSize, DEFAULT_MAX_MESSAGE_BYTES, FRAME_HEADROOM_BYTES, type FrameSink } from './frame-reader.js';

/**
 * What is allocated at once. Large enough that few batches of the usual 128 KiB have to move to the next one, and no larger, because a payload
 * that an application keeps keeps all of it alive.
 */
export const INTAKE_SLAB_BYTES = 512 * 1024;
/** With less left than this, and nothing begun in it, the next read goes into new memory: small reads cost a system call each. */
const MIN_ROOM_BYTES = 16 * 1024;
/** Of those that nobody holds any more: 8 MiB. */
const MAX_IDLE_SLABS = 16;

/**
 * Cuts a stream into frames as `FrameReader` does, for a source that reads into memory that it is given: a frame is put together where it
 * arrives. Nothing is allocated per read and most frames are never copied, which halves what the garbage collector has to count: bytes outside of the
 * heap make it collect everything, however little lies on the heap.
 *
 * Memory is written again when nobody holds it: a sink that keeps a view on a frame holds {@link slab}.
 *
 * @example
 * ```ts
 * const frames = new FrameIntake((bytes, start, end) => handle(decodeCommand(bytes, start, end)));
 * connect({ port, onread: { buffer: () => frames.room(), callback: (count) => (frames.filled(count), true) } });
 * ```
 */
export class FrameIntake {
  readonly #sink: FrameSink;
  #slab: IntakeSlab | undefined;
  readonly #idle: IntakeSlab[] = [];
  /** Where the first frame begins that is not whole. */
  #start = 0;
  #end = 0;
  #maxFrameBytes: number;
  #open = true;

  /**
   * @param sink called once per frame, in order, while {@link filled} runs.
   * @param maxFrameBytes the largest frame accepted, without its own size.
   */
  constructor(sink: FrameSink, maxFrameBytes: number = DEFAULT_MAX_MESSAGE_BYTES + FRAME_HEADROOM_BYTES) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** The largest frame accepted, in bytes; set it to what the broker told in CONNECTED. */
  get maxFrameBytes(): number {
    return this.#maxFrameBytes;
  }

  set maxFrameBytes(bytes: number) {
    this.#maxFrameBytes = bytes;
  }

  /** What the frame lies in that the sink is called for. */
  get slab(): IntakeSlab | undefined {
    return this.#slab;
  }

  /** Bytes of an unfinished frame that wait for the rest. */
  get bufferedBytes(): number {
    return this.#end - this.#start;
  }

  /** Where the next bytes belong, at least one; {@link filled} tells how many came. */
  room(): Buffer {
    const slab = this.#slab;
    const begun = this.#end - this.#start;
    if (slab !== undefined && begun === 0 && !slab.isHeld) {
      this.#start = 0;
      this.#end = 0;
    }
    const needed = Math.max(slab !== undefined && begun >= 4 ? 4 + slab.bytes.readUInt32BE(this.#start) : 0, 1);
    const least = begun < 4 ? MIN_ROOM_BYTES : needed;
    if (slab !== undefined && this.#start + least <= slab.bytes.length) {
      return slab.bytes.subarray(this.#end);
    }
    const next = this.#next(needed);
    slab?.bytes.copy(next.bytes, 0, this.#start, this.#end);
    this.#slab = next;
    this.#start = 0;
    this.#end = begun;
    if (slab !== undefined && !slab.isHeld) {
      this.#onFree(slab);
    }
    return next.bytes.subarray(begun);
  }

  /**
   * So many bytes were put into the last {@link room}. After an error, and after {@link close}, everything further is ignored.
   *
   * @throws {@link FrameTooLargeError}, {@link MalformedFrameError}, and what the sink throws: the stream is at an unknown place then,
   *   so the connection must be closed.
   */
  filled(count: number): void {
    const slab = this.#slab;
    if (!this.#open || slab === undefined) {
      return;
    }
    this.#end += count;
    try {
      this.#consume(slab.bytes);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Drops what is unfinished; no frame is handed out any more. */
  close(): void {
    this.#open = false;
    this.#slab = undefined;
    this.#idle.length = 0;
    this.#start = 0;
    this.#end = 0;
  }

  #next(needed: number): IntakeSlab {
    const idle = needed <= INTAKE_SLAB_BYTES ? this.#idle.pop() : undefined;
    // Not filled with zeros: a size alone costs address space, and memory only as bytes arrive.
    const bytes = Math.max(this.#open ? INTAKE_SLAB_BYTES : MIN_ROOM_BYTES, needed);
    return idle ?? new IntakeSlab(Buffer.allocUnsafeSlow(bytes), (slab) => this.#onFree(slab));
  }

  #onFree(slab: IntakeSlab): void {
    const isUsual = slab.bytes.length === INTAKE_SLAB_BYTES;
    if (this.#open && isUsual && slab !== this.#slab && this.#idle.length < MAX_IDLE_SLABS) {
      this.#idle.push(slab);
    }
  }

  #consume(slab: Buffer): void {
    while (this.#open && this.#end - this.#start >= 4) {
      const start = this.#start + 4;
      const end = start + checkedFrameSize(slab.readUInt32BE(this.#start), this.#maxFrameBytes);
      if (end > this.#end) {
        return;
      }
      this.#start = end;
      this.#sink(slab, start, end);
    }
  }
}
