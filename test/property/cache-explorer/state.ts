import type { Bounds } from './bounds.js';

/** A state of the world: numbers of what its parts are in. */
export type State = Int32Array;

function at(state: State, index: number): number {
  return state[index] ?? 0;
}

const BUDGETS = ['expiries', 'evictions', 'sets', 'failures', 'cuts', 'timeouts', 'ages'] as const;
type Budget = (typeof BUDGETS)[number];
const BUDGET_PLACES: Readonly<Record<Budget, number>> = {
  expiries: 0,
  evictions: 2,
  sets: 4,
  failures: 6,
  cuts: 8,
  timeouts: 10,
  ages: 12,
};
const COMMITS_AT = 0;
const DELIVERED_AT = 2;
const WRITING_AT = 8;
const CUT_AT = 10;
const BUDGETS_AT = 12;
/** Small numbers in one: commits, which of their changes were delivered, who is about to call `committed()`, cut lines, what may still happen. */
export class Counted {
  constructor(readonly bits: number) {}

  full(bounds: Bounds): Counted {
    return BUDGETS.reduce<Counted>(
      (counted, budget) => new Counted(counted.bits | ((bounds[budget] ?? 0) << this.#at(budget))),
      this,
    );
  }

  get commits(): number {
    return (this.bits >> COMMITS_AT) & 3;
  }

  /** How often a change was delivered. */
  delivered(index: number): number {
    return (this.bits >> (DELIVERED_AT + (index - 1) * 2)) & 3;
  }

  get allDelivered(): boolean {
    for (let index = 1; index <= this.commits; index++) {
      if (this.delivered(index) === 0) {
        return false;
      }
    }
    return true;
  }

  /** The content whose writer is about to read the counter; 0: none. */
  get writing(): number {
    return (this.bits >> WRITING_AT) & 3;
  }

  /** No line is cut, and no writer is about to do something. */
  get idle(): boolean {
    return this.writing === 0 && !this.isCut(0) && !this.isCut(1);
  }

  commit(own: boolean): Counted {
    const next = this.commits + 1;
    return new Counted((this.bits + (1 << COMMITS_AT)) | (own ? next << WRITING_AT : 0));
  }

  written(): Counted {
    return new Counted(this.bits & ~(3 << WRITING_AT));
  }

  deliver(index: number): Counted {
    return new Counted(this.bits + (1 << (DELIVERED_AT + (index - 1) * 2)));
  }

  isCut(r: number): boolean {
    return ((this.bits >> (CUT_AT + r)) & 1) === 1;
  }

  cut(r: number): Counted {
    return new Counted(this.bits | (1 << (CUT_AT + r)));
  }

  mended(r: number): Counted {
    return new Counted(this.bits & ~(1 << (CUT_AT + r)));
  }

  left(budget: Budget): number {
    return (this.bits >> this.#at(budget)) & 3;
  }

  spend(budget: Budget): Counted {
    return new Counted(this.bits - (1 << this.#at(budget)));
  }

  #at(budget: Budget): number {
    return BUDGETS_AT + BUDGET_PLACES[budget];
  }
}

const MISC = 9;
/** Where the parts of a state are; those of replicas twice. One object, which a module takes apart once: under the test runner each use of an import is a getter's. */
export const places = Object.freeze({
  SERVER: 0,
  REPLICA: 1,
  REPLIES: 3,
  INBOX: 5,
  BASE: 7,
  MISC,
  ZOMBIES: 10,
  WIDTH: 11,
  DELIVERIES: 2,
  at,
  counted: (state: State): Counted => new Counted(at(state, MISC)),
});

/** Short lists of numbers as numbers; 0 is the empty one. */
export class Lists {
  readonly #ids = new Map<string, number>([['', 0]]);
  readonly #items: (readonly number[])[] = [[]];
  // By list (and place in it), then by item.
  readonly #pushed: (number | undefined)[][] = [];
  readonly #with: (number | undefined)[][] = [];
  readonly #tails: number[] = [0];

  head(list: number): number {
    return this.item(list, 0);
  }

  tail(list: number): number {
    return (this.#tails[list] ??= this.#id(this.#at(list).slice(1)));
  }

  pushed(list: number, item: number): number {
    const known = this.#pushed[list]?.[item];
    return known ?? ((this.#pushed[list] ??= [])[item] = this.#id([...this.#at(list), item]));
  }

  /** The item of a list of a fixed length; 0 where nothing was set. */
  item(list: number, index: number): number {
    return this.#at(list)[index] ?? 0;
  }

  with(list: number, index: number, item: number): number {
    const known = this.#with[list * 8 + index]?.[item];
    if (known !== undefined) {
      return known;
    }
    const items = Array.from({ length: 6 }, (_, at) => (at === index ? item : this.item(list, at)));
    return ((this.#with[list * 8 + index] ??= [])[item] = items.every((one) => one === 0) ? 0 : this.#id(items));
  }

  #id(items: readonly number[]): number {
    const text = items.join();
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.#items.push(items) - 1;
      this.#ids.set(text, id);
    }
    return id;
  }

  #at(list: number): readonly number[] {
    return this.#items[list] ?? [];
  }
}
