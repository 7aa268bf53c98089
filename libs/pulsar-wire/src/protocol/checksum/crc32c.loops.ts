import { type Crc32cModule, crc32cModuleBytes, LAYOUT } from './crc32c.module.js';

const LANES = 3 * LAYOUT.lane;

/** The part of the global that we use: its types come with the DOM only. */
declare const WebAssembly:
  | {
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object) => { readonly exports: object };
    }
  | undefined;

/** CRC-32C over larger pieces: copied into the module's memory once, then three lanes at a time, joined by a table. */
export class Crc32cLoops {
  readonly #module: Crc32cModule;
  readonly #memory: Uint8Array;
  readonly #results: Int32Array;
  readonly #first: Int32Array;
  /** What a checksum becomes by a lane of zeros, for each of its bytes: joins the checksums of two lanes. */
  readonly #overLane = new Int32Array(1_024);

  private constructor(module: Crc32cModule, tables: readonly Int32Array[]) {
    const { buffer } = module.memory;
    this.#module = module;
    this.#memory = new Uint8Array(buffer);
    this.#results = new Int32Array(buffer, LAYOUT.results, 2);
    const words = new Int32Array(buffer, LAYOUT.tables, 2_048);
    tables.forEach((table, at) => words.set(table, at * 256));
    this.#first = words.subarray(0, 256);
    for (let at = 0; at < 1_024; at++) {
      this.#overLane[at] = module.run(0, LAYOUT.lane, (at & 0xff) << ((at >> 8) * 8));
    }
  }

  /** @param tables those of the checksum, the first for the last of eight bytes. */
  static create(tables: readonly Int32Array[]): Crc32cLoops | undefined {
    if (typeof WebAssembly === 'undefined') {
      return undefined;
    }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(crc32cModuleBytes()));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the module is ours, and says so in its section 7
    return new Crc32cLoops(exports as Crc32cModule, tables);
  }

  /** The checksum of `bytes[start, end)`, at most `LAYOUT.capacity`, going on from `previous`; unsigned. */
  checksum(bytes: Uint8Array, start: number, end: number, previous: number): number {
    const length = end - start;
    this.#memory.set(bytes.subarray(start, end), LAYOUT.data);
    let crc = ~previous;
    let at = 0;
    for (; at + LANES <= length; at += LANES) {
      const third = this.#module.lanes(at, crc);
      const [first = 0, second = 0] = this.#results;
      crc = this.#over(this.#over(first) ^ second) ^ third;
    }
    const words = at + ((length - at) & ~7);
    crc = this.#module.run(at, words, crc);
    for (at = words; at < length; at++) {
      crc = (crc >>> 8) ^ (this.#first[(crc ^ (bytes[start + at] ?? 0)) & 0xff] ?? 0);
    }
    return ~crc >>> 0;
  }

  #over(crc: number): number {
    const table = this.#overLane;
    return (
      table[crc & 0xff]! ^
      table[256 + ((crc >>> 8) & 0xff)]! ^
      table[512 + ((crc >>> 16) & 0xff)]! ^
      table[768 + (crc >>> 24)]!
    );
  }
}
