import { places } from './state.js';

const { WIDTH } = places;
const FIRST_SLOTS = 2 ** 20;
/** Of a state that was there before, where states are not numbered. */
const KNOWN = -1;

/**
 * States by 64 bits of hash, in the order in which they came: among 30 million, two of them have the same hash with a chance of one in 40,000.
 * Most of the time of a search goes into fetching from here what no processor's cache holds. So both halves of a hash lie side by side, and many states are
 * looked up at once: fetches that do not wait for one another take a fraction of the time.
 */
export class Seen {
  #slots = FIRST_SLOTS;
  /** Two halves of each hash; both 0: a free slot. */
  #hashes = new Int32Array(FIRST_SLOTS * 2);
  #ids: Int32Array | undefined;
  readonly #low: Int32Array;
  readonly #high: Int32Array;
  /** Means nothing: because it is kept, no compiler leaves the fetches out. */
  fetched = 0;
  size = 0;

  /**
   * @param batch states that are looked up at once, at most
   * @param numbered whether the number of a known state is told, too
   */
  constructor(batch: number, numbered: boolean) {
    this.#low = new Int32Array(batch);
    this.#high = new Int32Array(batch);
    this.#ids = numbered ? new Int32Array(FIRST_SLOTS) : undefined;
  }

  /** Takes states, one behind the other, of which {@link add} is then asked. */
  take(states: Int32Array, count: number): void {
    if ((this.size + count) * 10 > this.#slots * 7) {
      this.#grow();
    }
    const [hashes, mask] = [this.#hashes, this.#slots - 1];
    for (let index = 0; index < count; index++) {
      this.#hash(states, index);
    }
    for (let index = 0; index < count; index++) {
      this.fetched ^= hashes[((this.#low[index] ?? 0) & mask) * 2] ?? 0;
    }
  }

  /** The number of a state that was taken: a new one, which is the size before, or the one that it has, else {@link KNOWN}. */
  add(index: number): number {
    const [low, high] = [this.#low[index] ?? 0, this.#high[index] ?? 0];
    const hashes = this.#hashes;
    const slot = this.#slotOf(hashes, low, high);
    if (hashes[slot * 2] !== 0 || hashes[slot * 2 + 1] !== 0) {
      return this.#ids?.[slot] ?? KNOWN;
    }
    hashes[slot * 2] = low;
    hashes[slot * 2 + 1] = high;
    if (this.#ids !== undefined) {
      this.#ids[slot] = this.size;
    }
    return this.size++;
  }

  #hash(states: Int32Array, index: number): void {
    let low = 0x9e3779b9 | 0;
    let high = 0x85ebca6b | 0;
    for (let at = index * WIDTH; at < (index + 1) * WIDTH; at++) {
      const part = states[at] ?? 0;
      low = Math.imul(low ^ part, 0xcc9e2d51);
      low = (low << 15) | (low >>> 17);
      low = (Math.imul(low, 5) + 0xe6546b64) | 0;
      high = Math.imul(high ^ part ^ low, 0x1b873593);
      high ^= high >>> 13;
    }
    low = mixed(low ^ high);
    high = mixed(high + Math.imul(low, 0x27d4eb2f));
    this.#low[index] = low;
    this.#high[index] = low === 0 && high === 0 ? 1 : high;
  }

  /** Where a hash is, or would be. */
  #slotOf(hashes: Int32Array, low: number, high: number): number {
    const mask = this.#slots - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const [foundLow, foundHigh] = [hashes[slot * 2], hashes[slot * 2 + 1]];
      if ((foundLow === low && foundHigh === high) || (foundLow === 0 && foundHigh === 0)) {
        return slot;
      }
    }
  }

  #grow(): void {
    const [before, ids] = [this.#hashes, this.#ids];
    this.#slots *= 2;
    const hashes = new Int32Array(this.#slots * 2);
    const moved = ids && new Int32Array(this.#slots);
    for (let slot = 0; slot * 2 < before.length; slot++) {
      const [low, high] = [before[slot * 2] ?? 0, before[slot * 2 + 1] ?? 0];
      if (low !== 0 || high !== 0) {
        const to = this.#slotOf(hashes, low, high);
        hashes[to * 2] = low;
        hashes[to * 2 + 1] = high;
        if (moved !== undefined) {
          moved[to] = ids?.[slot] ?? 0;
        }
      }
    }
    this.#hashes = hashes;
    this.#ids = moved;
  }
}

function mixed(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
