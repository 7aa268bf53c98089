import { type Crc32cModule, crc32cModuleBytes, LAYOUT } from './crc32c.module.js';

/** The part of the global that we use: its types come with the DOM only. */
declare const WebAssembly:
  | {
      readonly validate: (bytes: Uint8Array) => boolean;
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object) => { readonly exports: object };
    }
  | undefined;

/** Below this the rest that folding leaves is too large a part of the piece. */
const WORTH_FOLDING = 8_192;

/** CRC-32C over larger pieces: copied into the module's memory once, folded there to their last 3 KiB, and the table's way over these. */
export class Crc32cLoops {
  readonly #module: Crc32cModule;
  readonly #memory: Uint8Array;
  readonly #view: DataView;
  readonly #table: Int32Array;

  private constructor(module: Crc32cModule, tables: readonly Int32Array[]) {
    const { buffer } = module.memory;
    this.#module = module;
    this.#memory = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#table = tables[0] ?? new Int32Array(256);
    tables.forEach((table, number) =>
      table.forEach((entry, at) => this.#view.setInt32(LAYOUT.tables + (number * 256 + at) * 4, entry, true)),
    );
  }

  /** @param tables those of the checksum, the first for the last of eight bytes. */
  static create(tables: readonly Int32Array[]): Crc32cLoops | undefined {
    const bytes = crc32cModuleBytes();
    // Not every processor has vectors.
    if (typeof WebAssembly === 'undefined' || !WebAssembly.validate(bytes)) {
      return undefined;
    }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the module is ours, and says so in its section 7
    return new Crc32cLoops(exports as Crc32cModule, tables);
  }

  /** The checksum of `bytes[start, end)`, at most `LAYOUT.capacity`, going on from `previous`; unsigned. */
  checksum(bytes: Uint8Array, start: number, end: number, previous: number): number {
    const { data, rest } = LAYOUT;
    if (end - start >= WORTH_FOLDING) {
      return this.#finish(rest, this.#fold(bytes, start, end, ~previous), 0);
    }
    this.#memory.set(bytes.subarray(start, end), data);
    return this.#finish(0, end - start, ~previous);
  }

  /** Leaves the rest at `LAYOUT.rest` and answers its length. What the checksum begins with lies in the first bytes then. */
  #fold(bytes: Uint8Array, start: number, end: number, crc: number): number {
    const { data, reach, rest, word } = LAYOUT;
    const folded = end - start - reach - ((end - start - reach) % word);
    this.#memory.set(bytes.subarray(start, start + folded), data);
    this.#view.setInt32(data, this.#view.getInt32(data, true) ^ crc, true);
    this.#module.fold(0, folded, 0);
    // What is moved on to the rest comes from before it alone.
    this.#memory.fill(0, data + folded, data + folded + reach);
    this.#memory.set(bytes.subarray(start + folded, end), data + rest);
    this.#module.fold(folded, folded + reach, rest - folded);
    return end - start - folded;
  }

  /** Goes on from `crc` (inverted) over `length` bytes of the memory. */
  #finish(from: number, length: number, crc: number): number {
    const words = from + length - (length % 8);
    let state = this.#module.run(from, words, crc);
    for (let at = words; at < from + length; at++) {
      state = (state >>> 8) ^ (this.#table[(state ^ (this.#memory[LAYOUT.data + at] ?? 0)) & 0xff] ?? 0);
    }
    return ~state >>> 0;
  }
}
