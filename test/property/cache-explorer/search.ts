import type { Bounds, Found } from './bounds.js';
import { type State, WIDTH } from './state.js';
import { World } from './world.js';

/** How far a search goes. */
export interface SearchOptions {
  /** Default 40 million. */
  readonly maxStates?: number;
  /** Whether rest with the latest value stays within reach of every state; costs memory. */
  readonly reachability?: boolean;
}

/** Goes through every state within the bounds, nearest first. */
export async function explore(bounds: Bounds, options: SearchOptions = {}): Promise<Found> {
  const search = new Search(bounds, options, false);
  const found = await search.run();
  if (found.broken === undefined) {
    return found;
  }
  // Once more, as far as that, with every state's way kept.
  return await new Search(bounds, options, true).run();
}

class Search {
  readonly #world: World;
  readonly #seen = new Seen();
  readonly #maxStates: number;
  readonly #graph: { readonly from: number[]; readonly to: number[]; readonly quiet: number[] } | undefined;
  /** Where each state was come to from; only to tell. */
  readonly #ways: { readonly states: State[]; readonly from: number[]; readonly labels: string[] } = {
    states: [],
    from: [],
    labels: [],
  };
  #transitions = 0;

  constructor(
    bounds: Bounds,
    { maxStates = 40_000_000, reachability = false }: SearchOptions,
    private readonly telling: boolean,
  ) {
    this.#world = new World(bounds);
    this.#world.telling = telling;
    this.#maxStates = maxStates;
    this.#graph = reachability ? { from: [], to: [], quiet: [] } : undefined;
  }

  async run(): Promise<Found> {
    let frontier = new Frontier();
    let next = new Frontier();
    let depth = 0;
    let current = -1;
    const emit = (state: State, label: string): void => {
      this.#transitions++;
      const known = this.#seen.size;
      const id = this.#seen.add(state);
      this.#graph?.from.push(current);
      this.#graph?.to.push(id);
      if (id === known) {
        next.push(state, id);
        if (this.telling) {
          this.#ways.states.push(Int32Array.from(state));
          this.#ways.from.push(current);
          this.#ways.labels.push(label);
        }
        this.#checkQuiet(state, id);
      }
    };
    emit(await this.#world.start(), 'begin');
    while (next.length > 0 && this.#world.broken === undefined && this.#seen.size < this.#maxStates) {
      [frontier, next] = [next, frontier];
      next.clear();
      depth++;
      for (let index = 0; index < frontier.length && this.#world.broken === undefined; index++) {
        current = frontier.id(index);
        const expanding = this.#world.expand(frontier.at(index), emit);
        // Nearly every state is gone through at once: only what is not known yet is waited for.
        if (expanding !== undefined) {
          await expanding;
        }
      }
    }
    const { replicas, server, broken } = this.#world;
    return {
      states: this.#seen.size,
      transitions: this.#transitions,
      depth,
      replicaStates: replicas[0].size + replicas[1].size,
      serverStates: server.size,
      runs: replicas[0].runs + replicas[1].runs + server.runs,
      cut: next.length > 0 && broken === undefined,
      broken: broken && { invariant: broken.invariant, story: [...this.#story(current), `!! ${broken.detail}`] },
      lost: this.#graph && broken === undefined ? this.#lost() : undefined,
    };
  }

  #checkQuiet(state: State, id: number): void {
    if (this.#world.quiet(state)) {
      this.#graph?.quiet.push(id);
      const detail = this.#world.fresh(state);
      if (detail !== undefined) {
        this.#world.broken ??= { invariant: 'I3', detail };
      }
    }
  }

  #story(id: number): readonly string[] {
    const story: string[] = [];
    for (let at = id; this.telling && at >= 0; at = this.#ways.from[at] ?? -1) {
      story.unshift(this.#ways.labels[at] ?? '');
    }
    return story;
  }

  /** States that cannot come to rest. */
  #lost(): number {
    const { from, to, quiet } = this.#graph ?? { from: [], to: [], quiet: [] };
    const count = this.#seen.size;
    const begins = new Int32Array(count + 1);
    to.forEach((id) => (begins[id + 1] = (begins[id + 1] ?? 0) + 1));
    for (let id = 0; id < count; id++) {
      begins[id + 1] = (begins[id + 1] ?? 0) + (begins[id] ?? 0);
    }
    const places = begins.slice();
    const before = new Int32Array(to.length);
    to.forEach((id, edge) => {
      const place = places[id] ?? 0;
      before[place] = from[edge] ?? 0;
      places[id] = place + 1;
    });
    const reached = new Uint8Array(count);
    const stack = [...quiet];
    quiet.forEach((id) => (reached[id] = 1));
    let left = count - quiet.length;
    for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
      for (let place = begins[id] ?? 0; place < (begins[id + 1] ?? 0); place++) {
        const source = before[place] ?? 0;
        if (source >= 0 && reached[source] === 0) {
          reached[source] = 1;
          left--;
          stack.push(source);
        }
      }
    }
    return left;
  }
}

/** States in a row. */
class Frontier {
  #data = new Int32Array(WIDTH * 1_024);
  #ids = new Int32Array(1_024);
  length = 0;

  push(state: State, id: number): void {
    if (this.length === this.#ids.length) {
      const data = new Int32Array(this.#data.length * 2);
      data.set(this.#data);
      this.#data = data;
      const ids = new Int32Array(this.#ids.length * 2);
      ids.set(this.#ids);
      this.#ids = ids;
    }
    this.#data.set(state, this.length * WIDTH);
    this.#ids[this.length++] = id;
  }

  at(index: number): State {
    return this.#data.subarray(index * WIDTH, (index + 1) * WIDTH);
  }

  id(index: number): number {
    return this.#ids[index] ?? -1;
  }

  clear(): void {
    this.length = 0;
  }
}

const FIRST_SLOTS = 2 ** 20;

/**
 * States by 64 bits of hash, in the order in which they came: among 30 million, two of them have the same hash with a chance of one in 40,000.
 */
class Seen {
  #slots = FIRST_SLOTS;
  #low = new Int32Array(FIRST_SLOTS);
  #high = new Int32Array(FIRST_SLOTS);
  #ids = new Int32Array(FIRST_SLOTS);
  size = 0;

  /** The number of the state: a new one, or the one that it has. */
  add(state: State): number {
    let low = 0x9e3779b9 | 0;
    let high = 0x85ebca6b | 0;
    for (let index = 0; index < WIDTH; index++) {
      const part = state[index] ?? 0;
      low = Math.imul(low ^ part, 0xcc9e2d51);
      low = (low << 15) | (low >>> 17);
      low = (Math.imul(low, 5) + 0xe6546b64) | 0;
      high = Math.imul(high ^ part ^ low, 0x1b873593);
      high ^= high >>> 13;
    }
    low = mixed(low ^ high);
    high = mixed(high + Math.imul(low, 0x27d4eb2f));
    if (this.size * 10 > this.#slots * 7) {
      this.#grow();
    }
    return this.#put(low, high, this.size);
  }

  #put(low: number, high: number, id: number): number {
    const mask = this.#slots - 1;
    let slot = low & mask;
    for (;;) {
      // Numbers are kept one higher: 0 is a free slot.
      const found = this.#ids[slot] ?? 0;
      if (found === 0) {
        this.#low[slot] = low;
        this.#high[slot] = high;
        this.#ids[slot] = id + 1;
        this.size++;
        return id;
      }
      if (this.#low[slot] === low && this.#high[slot] === high) {
        return found - 1;
      }
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const [low, high, ids] = [this.#low, this.#high, this.#ids];
    this.#slots *= 2;
    this.#low = new Int32Array(this.#slots);
    this.#high = new Int32Array(this.#slots);
    this.#ids = new Int32Array(this.#slots);
    this.size = 0;
    ids.forEach((id, slot) => {
      if (id > 0) {
        this.#put(low[slot] ?? 0, high[slot] ?? 0, id - 1);
      }
    });
  }
}

function mixed(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
