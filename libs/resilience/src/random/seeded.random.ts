import { Random } from './random.js';

/** Repeatable chance (mulberry32): the same seed gives the same sequence on every machine. Not for secrets. */
export class SeededRandom extends Random {
  #state: number;

  constructor(seed = 1) {
    super();
    this.#state = seed >>> 0;
  }

  override next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  override bytes(size: number): Uint8Array {
    return Uint8Array.from({ length: size }, () => this.int(256));
  }
}
