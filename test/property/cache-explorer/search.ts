import type { Bounds, Found } from './bounds.js';
import { Seen } from './seen.js';
import { places, type State } from './state.js';
import { World } from './world.js';

const { WIDTH } = places;
/** States that are looked up at once. */
const BATCH = 512;

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
  readonly #seen: Seen;
  readonly #maxStates: number;
  readonly #graph: { readonly from: number[]; readonly to: number[]; readonly quiet: number[] } | undefined;
  /** Where each state was come to from; only to tell. */
  readonly #ways: { readonly from: number[]; readonly labels: string[] } = { from: [], labels: [] };
  readonly #batch: number;
  /** Next states that were not looked up yet, and from where they were come to. */
  readonly #emitted = new Int32Array(BATCH * WIDTH);
  readonly #from = new Int32Array(BATCH);
  #waiting = 0;
  readonly #state: State = new Int32Array(WIDTH);
  #next = new Frontier();
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
    // To tell a story, what is wrong is to be seen at once.
    this.#batch = telling ? 1 : BATCH;
    this.#seen = new Seen(this.#batch, reachability);
  }

  async run(): Promise<Found> {
    let frontier = new Frontier();
    let depth = 0;
    let current = -1;
    const state = new Int32Array(WIDTH);
    const emit = (next: State, label: string): void => {
      this.#transitions++;
      copy(next, 0, this.#emitted, this.#waiting);
      this.#from[this.#waiting++] = current;
      if (this.#waiting === this.#batch) {
        this.#lookUp(label);
      }
    };
    emit(await this.#world.start(), 'begin');
    this.#lookUp('');
    while (this.#next.length > 0 && this.#world.broken === undefined && this.#seen.size < this.#maxStates) {
      [frontier, this.#next] = [this.#next, frontier];
      this.#next.clear();
      depth++;
      for (let index = 0; index < frontier.length && this.#world.broken === undefined; index++) {
        current = frontier.id(index);
        frontier.read(index, state);
        const expanding = this.#world.expand(state, emit);
        // Nearly every state is gone through at once: only what is not known yet is waited for.
        if (expanding !== undefined) {
          await expanding;
        }
      }
      this.#lookUp('');
    }
    const { replicas, server, broken } = this.#world;
    return {
      states: this.#seen.size,
      transitions: this.#transitions,
      depth,
      replicaStates: replicas[0].size + replicas[1].size,
      serverStates: server.size,
      runs: replicas[0].runs + replicas[1].runs + server.runs,
      cut: this.#next.length > 0 && broken === undefined,
      broken: broken && { invariant: broken.invariant, story: [...this.#story(current), `!! ${broken.detail}`] },
      lost: this.#graph && broken === undefined ? this.#lost() : undefined,
    };
  }

  /** Of the states that were emitted, takes those that were not seen before. */
  #lookUp(label: string): void {
    this.#seen.take(this.#emitted, this.#waiting);
    for (let index = 0; index < this.#waiting; index++) {
      const known = this.#seen.size;
      const id = this.#seen.add(index);
      const from = this.#from[index] ?? -1;
      this.#graph?.from.push(from);
      this.#graph?.to.push(id);
      if (id === known) {
        copy(this.#emitted, index, this.#state, 0);
        this.#next.push(this.#state, id);
        if (this.telling) {
          this.#ways.from.push(from);
          this.#ways.labels.push(label);
        }
        this.#checkQuiet(this.#state, id);
      }
    }
    this.#waiting = 0;
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
    copy(state, 0, this.#data, this.length);
    this.#ids[this.length++] = id;
  }

  read(index: number, into: State): void {
    copy(this.#data, index, into, 0);
  }

  id(index: number): number {
    return this.#ids[index] ?? -1;
  }

  clear(): void {
    this.length = 0;
  }
}

/** Faster than set() of a subarray(), for so few. */
function copy(from: Int32Array, index: number, to: Int32Array, place: number): void {
  for (let part = 0; part < WIDTH; part++) {
    to[place * WIDTH + part] = from[index * WIDTH + part] ?? 0;
  }
}
