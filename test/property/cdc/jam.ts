import type { Random } from '@smartpulse/resilience';
import type { HistoryTable } from './subjects/tables.js';

/** What can be stuck about a table. */
const PLACES = ['reads', 'hand-offs', 'saves', 'leases'] as const;
export type JamPlace = (typeof PLACES)[number];

/** One table does not go on: what it asks for is not answered, or always refused, until the jam is over. */
export class Jam {
  readonly #table: HistoryTable;
  readonly place: JamPlace;
  readonly #refuses: boolean;
  readonly #over: Promise<void>;
  #end = (): void => {};
  #struck = 0;

  constructor(table: HistoryTable, random: Random) {
    this.#table = table;
    this.place = PLACES[random.int(PLACES.length)] ?? 'reads';
    this.#refuses = random.next() < 0.5;
    this.#over = new Promise((resolve) => (this.#end = resolve));
  }

  /** How often it was met. */
  get struck(): number {
    return this.#struck;
  }

  async at(table: string, place: JamPlace): Promise<void> {
    if (table !== this.#table.name || place !== this.place) {
      return;
    }
    this.#struck += 1;
    if (this.#refuses) {
      throw new Error(`No ${place} of this table.`);
    }
    await this.#over;
  }

  end(): void {
    this.#end();
  }
}
