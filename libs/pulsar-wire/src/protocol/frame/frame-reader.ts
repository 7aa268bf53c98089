import { FrameTooLargeError, MalformedFrameError } from '../../pulsar-wire.errors.js';

/** What a broker takes when nothing else was said: 5 MiB. */
export const DEFAULT_MAX_MESSAGE_BYTES = 5 * 1024 * 1024;

/** What a frame may hold beyond the message: command and metadata. The broker's own figure. */
export const FRAME_HEADROOM_BYTES = 10 * 1024;

/**
 * Takes one frame: `bytes[start, end)` without the frame's own size. The bytes are valid for as long as somebody holds them, but a
 * small view keeps the whole buffer that it came from alive: copy what is kept for long.
 */
export type FrameSink = (bytes: Buffer, start: number, end: number) => void;

/**
 * Cuts a stream of bytes into frames, however it is chunked. A frame that lies in one chunk is handed out where it lies; any other one is
 * copied once, into a buffer of its exact size. Never holds more than one frame, and refuses a frame above the limit when its size
 * is known, before anything is allocated for it.
 *
 * @example
 * ```ts
 * const frames = new FrameReader((bytes, start, end) => handle(decodeCommand(bytes, start, end)));
 * socket.on('data', (chunk) => frames.push(chunk));
 * ```
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #sizeBytes = Buffer.alloc(4);
  #sizeLength = 0;
  #frame: Buffer | undefined;
  #frameLength = 0;
  #maxFrameBytes: number;
  #open = true;

  /**
   * @param sink called once per frame, in order, while {@link push} runs.
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

  /** Bytes of an unfinished frame that wait for the rest. */
  get bufferedBytes(): number {
    return this.#sizeLength + this.#frameLength;
  }

  /**
   * Takes what the socket gave. After an error, and after {@link close}, everything further is ignored.
   *
   * @throws {@link FrameTooLargeError}, {@link MalformedFrameError}, and what the sink throws: the stream is at an unknown place then,
   *   so the connection must be closed.
   */
  push(chunk: Buffer): void {
    if (!this.#open) {
      return;
    }
    try {
      this.#consume(chunk);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Drops what is unfinished; no frame is handed out any more, not even out of the chunk that is being read. */
  close(): void {
    this.#open = false;
    this.#frame = undefined;
    this.#frameLength = 0;
    this.#sizeLength = 0;
  }

  #consume(chunk: Buffer): void {
    const { length } = chunk;
    let at = this.#finishPending(chunk);
    while (this.#open && length - at >= 4) {
      const size = checkedFrameSize(
        chunk[at]! * 0x100_0000 + ((chunk[at + 1]! << 16) | (chunk[at + 2]! << 8) | chunk[at + 3]!),
        this.#maxFrameBytes,
      );
      const start = at + 4;
      if (size > length - start) {
        this.#begin(size);
        at = this.#fill(chunk, start);
        return;
      }
      at = start + size;
      this.#sink(chunk, start, at);
    }
    if (this.#open && at < length) {
      this.#sizeLength = chunk.copy(this.#sizeBytes, 0, at);
    }
  }

  /** Completes what earlier chunks began; answers where the rest of the chunk starts. */
  #finishPending(chunk: Buffer): number {
    let at = 0;
    if (this.#frame === undefined && this.#sizeLength > 0) {
      at = chunk.copy(this.#sizeBytes, this.#sizeLength, 0, 4 - this.#sizeLength);
      this.#sizeLength += at;
      if (this.#sizeLength < 4) {
        return at;
      }
      this.#begin(checkedFrameSize(this.#sizeBytes.readUInt32BE(0), this.#maxFrameBytes));
    }
    return this.#frame === undefined ? at : this.#fill(chunk, at);
  }

  #begin(size: number): void {
    this.#sizeLength = 0;
    // Not filled with zeros: a size alone costs address space, and memory only as bytes arrive.
    this.#frame = Buffer.allocUnsafe(size);
    this.#frameLength = 0;
  }

  #fill(chunk: Buffer, from: number): number {
    const frame = this.#frame;
    if (frame === undefined) {
      return from;
    }
    const copied = chunk.copy(frame, this.#frameLength, from);
    this.#frameLength += copied;
    if (this.#frameLength === frame.length) {
      this.#frame = undefined;
      this.#frameLength = 0;
      this.#sink(frame, 0, frame.length);
    }
    return from + copied;
  }
}

/** @throws {@link FrameTooLargeError}, {@link MalformedFrameError} when no frame can be of that size. */
export function checkedFrameSize(size: number, maxFrameBytes: number): number {
  if (size > maxFrameBytes) {
    throw new FrameTooLargeError(size, maxFrameBytes);
  }
  if (size < 4) {
    throw new MalformedFrameError(`a frame of ${size} bytes`);
  }
  return size;
}
