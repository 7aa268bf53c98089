import {
  type ChangePage,
  type ChangeVersion,
  type Checkpoint,
  compareChangeVersions,
  type FeedEvent,
  type HandOff,
  type Lease,
  type Row,
  type RowChange,
  type TableChunk,
} from '@smartpulse/cdc';
import { TableFold } from '@smartpulse/cdc/testing';
import type { Process } from './process.js';
import type { Subject } from './subjects/subject.js';
import type { HistoryTable } from './subjects/tables.js';
import { Sight } from './sight.js';
import { valueIn, View } from './view.js';

/** What must hold in every history, whatever befalls it. */
export type Invariant =
  | 'the reader equals the table at quiet'
  | 'no stamp goes back'
  | 'nothing is missing without an event'
  | 'one holder at a time'
  | 'memory is bounded'
  | 'no table waits for another'
  | 'a stamp tells what its value has'
  | 'no view goes back'
  | 'a view equals the table at quiet'
  | 'nothing is left over';

/** What was seen to break, first things first. */
export interface Violation {
  readonly invariant: Invariant;
  readonly what: string;
}

const BEGINNING: ChangeVersion = { epoch: -1n, version: -1n };

/** What a broker keeps of one table: a sink's acceptances, folded by a reader. */
export class KeptTable {
  readonly fold: TableFold;
  /** What caches know that load by stamped reads and hear of the changes. */
  readonly views: readonly View[];
  readonly #keyOf: HistoryTable['keyOf'];
  readonly #stamps = new Map<number, ChangeVersion>();

  constructor(table: HistoryTable, isolation: Subject['isolation']) {
    const { keyOf } = table;
    this.#keyOf = keyOf;
    // Only a value that is exactly of its stamp may be compared with the rows of changes.
    const refreshed = isolation === 'snapshot' ? [new View(table, 'refresh')] : [];
    this.views = [...refreshed, new View(table, 'invalidate')];
    this.fold = new TableFold((primaryKey) => String(keyOf(primaryKey)));
  }

  /** The highest stamp that is certain for a key. */
  stampOf(key: number): ChangeVersion {
    return this.fold.stampOf(String(key));
  }

  accept(changes: readonly RowChange[], handOff: Pick<HandOff, 'fence'>): void {
    this.fold.accept(changes, handOff);
    this.views.forEach((view) => view.changed(changes));
  }

  announce(event: FeedEvent, handOff: HandOff): void {
    this.fold.announce(event, handOff);
    this.views.forEach((view) => view.announced(event, handOff));
  }

  /** @returns keys whose certain stamp is lower than it was. */
  wentBack(): readonly number[] {
    const back: number[] = [];
    for (const [key, before] of this.#stamps) {
      if (compareChangeVersions(this.stampOf(key), before) < 0) {
        back.push(key);
      }
    }
    return back;
  }

  remember(changes: readonly RowChange[]): void {
    for (const { primaryKey } of changes) {
      const key = this.#keyOf(primaryKey);
      this.#stamps.set(key, this.stampOf(key));
    }
  }
}

/** Another object = another instance, which has nothing of what the one before had. */
export class Broker {
  readonly #tables: ReadonlyMap<string, KeptTable>;

  constructor(
    readonly instance: string,
    tables: readonly HistoryTable[],
    isolation: Subject['isolation'],
  ) {
    this.#tables = new Map(tables.map((table) => [table.name, new KeptTable(table, isolation)]));
  }

  of(table: string): KeptTable {
    return theOne(this.#tables, table);
  }
}

/** What stands for a table that is followed. */
export function theOne<T>(tables: ReadonlyMap<string, T>, table: string): T {
  const found = tables.get(table);
  if (found === undefined) {
    throw new RangeError(`No history follows "${table}".`);
  }
  return found;
}

interface Grant {
  readonly process: Process;
  readonly lease: Lease;
  readonly touched: number;
}

/** What one holder has offered to its sink. */
interface Offers {
  readonly stamps: Map<number, ChangeVersion>;
  resyncFrom: ChangeVersion;
}

/** Looks at everything that passes of one table, and says what should not have. */
export class Witness {
  readonly violations: Violation[] = [];
  readonly #subject: Subject;
  readonly #table: HistoryTable;
  readonly #offers = new Map<bigint, Offers>();
  #grant: Grant | undefined;
  #fence = -1n;
  #restores = 0;
  readonly #reading = new Map<Process, AbortSignal>();
  readonly #sight: Sight;

  constructor(subject: Subject, table: HistoryTable) {
    this.#subject = subject;
    this.#table = table;
    this.#sight = new Sight(subject, table);
  }

  /** The first break of each kind is enough: what follows is its consequence. */
  tell(invariant: Invariant, what: string): void {
    if (!this.violations.some((one) => one.invariant === invariant)) {
      this.violations.push({ invariant, what: `${this.#table.name}: ${what}` });
    }
  }

  /** A holder offers changes to its sink. No key's stamp may go down; rows of a resync stand at or above everything that was offered before it. */
  offered(process: Process, changes: readonly RowChange[], { fence }: HandOff): void {
    if (this.#reading.get(process)?.aborted === false) {
      this.tell('memory is bounded', 'a tracker reads on while it hands off');
    }
    const before = this.#offersOf(fence);
    for (const { primaryKey, version, operation } of changes) {
      const key = this.#table.keyOf(primaryKey);
      const least = operation === 'snapshot' ? before.resyncFrom : (before.stamps.get(key) ?? BEGINNING);
      if (compareChangeVersions(version, least) < 0) {
        this.tell('no stamp goes back', `fence ${fence} offered key ${key} at ${text(version)} after ${text(least)}`);
      }
      if (operation !== 'snapshot') {
        before.stamps.set(key, version);
      }
    }
  }

  announced(event: FeedEvent, { fence, epoch }: HandOff): void {
    const before = this.#offersOf(fence);
    this.#sight.announced(event);
    if (event.kind !== 'resyncStarted') {
      return;
    }
    const from = { epoch, version: event.fromVersion };
    // The same one once more, where it failed before its first rows were saved, may come after changes of its own.
    const stamps = compareChangeVersions(from, before.resyncFrom) === 0 ? [] : before.stamps.values();
    for (const stamp of stamps) {
      if (compareChangeVersions(from, stamp) < 0) {
        this.tell('no stamp goes back', `fence ${fence} resyncs from ${text(from)} after ${text(stamp)}`);
      }
    }
    before.resyncFrom = from;
  }

  accepted(kept: KeptTable, changes: readonly RowChange[]): void {
    const [key] = kept.wentBack();
    if (key !== undefined) {
      this.tell('no stamp goes back', `a reader lost the stamp of key ${key}`);
    }
    kept.remember(changes);
    this.looked(kept);
  }

  /** Somebody asks the cache, as after everything that it learns. */
  looked({ views }: KeptTable): void {
    const back = views[0] === undefined ? undefined : this.#sight.back(views[0]);
    if (back !== undefined) {
      this.tell('no view goes back', back);
    }
  }

  /** At quiet: what a cache has is what the table has. */
  compares({ views }: KeptTable, rows: ReadonlyMap<number, Row>): void {
    for (const { values } of views) {
      for (const [key, value] of values) {
        const now = valueIn(rows.get(key));
        if (value !== now) {
          this.tell('a view equals the table at quiet', `it has ${value} of key ${key}, and the table ${now}`);
        }
      }
    }
  }

  /** A replica is about to ask; the answer goes to {@link granted}. */
  asksForLease(): number {
    return this.#subject.leasesTouched;
  }

  granted(process: Process, lease: Lease, asked: number): void {
    const { leasesTouched } = this.#subject;
    if (process.state !== 'awake' || asked !== leasesTouched) {
      // Given while it stood still, and heard before its timers say that it is over; or before somebody else touched the leases.
      return;
    }
    const before = this.#grant;
    const alone =
      before === undefined ||
      before.lease.signal.aborted ||
      before.process === process ||
      before.process.state !== 'awake' ||
      before.touched !== leasesTouched;
    if (!alone) {
      this.tell('one holder at a time', `fence ${lease.fence} was granted while ${before.lease.fence} still reads`);
    }
    if (before !== undefined && before.touched === leasesTouched && lease.fence <= before.lease.fence) {
      this.tell('one holder at a time', `fence ${lease.fence} was granted after fence ${before.lease.fence}`);
    }
    this.#grant = { process, lease, touched: leasesTouched };
  }

  /** A store said that a save took effect: no lower fence may stand there than the highest that ever stood. */
  async saved(checkpoint: Checkpoint, fence: bigint, missing: string | undefined): Promise<void> {
    if (missing !== undefined) {
      this.tell('nothing is missing without an event', missing);
    }
    const restores = this.#subject.restores;
    const stored = await this.#subject.fence(this.#table);
    if (restores !== this.#restores || restores !== this.#subject.restores) {
      this.#restores = this.#subject.restores;
      this.#fence = -1n;
      return;
    }
    if (stored === undefined || stored < this.#fence) {
      this.tell('one holder at a time', `fence ${fence} saved ${placeOf(checkpoint)} after fence ${this.#fence} had`);
    }
    this.#fence = stored !== undefined && stored > this.#fence ? stored : this.#fence;
  }

  /**
   * Everything at or below a position must have been accepted by the sink that the checkpoint names, when it is saved.
   *
   * @returns what has not, as of now.
   */
  async missing(checkpoint: Checkpoint, broker: Broker): Promise<string | undefined> {
    const { phase, sinkInstance } = checkpoint;
    if (phase.kind === 'bootstrap' || sinkInstance !== broker.instance) {
      return undefined;
    }
    const { restores } = this.#subject;
    const { log, epoch } = await this.#subject.truth(this.#table);
    if (checkpoint.epoch !== epoch || this.#subject.isSetBack || this.#subject.restores !== restores) {
      return undefined;
    }
    const { cursor } = phase;
    const kept = broker.of(this.#table.name);
    for (const [key, version] of log) {
      const inside =
        cursor !== null &&
        (version < cursor.version ||
          (version === cursor.version && this.#subject.isWithin(this.#table, key, cursor.key)));
      const stamp = kept.stampOf(key);
      if ((version <= phase.version || inside) && compareChangeVersions(stamp, { epoch, version }) < 0) {
        const has = `version ${version} of key ${key}, of which the sink has ${text(stamp)}`;
        return `${placeOf(checkpoint)} is ahead of ${has}`;
      }
    }
    return undefined;
  }

  #offersOf(fence: bigint): Offers {
    const known = this.#offers.get(fence) ?? { stamps: new Map<number, ChangeVersion>(), resyncFrom: BEGINNING };
    this.#offers.set(fence, known);
    return known;
  }

  /** A replica begins to read: what it had in hand before is gone, and of two reads one was given up with its lease. */
  reads(process: Process, signal: AbortSignal): void {
    const before = this.#reading.get(process);
    if (before !== undefined && !before.aborted) {
      this.tell('memory is bounded', 'a tracker reads twice at once');
    }
    this.#reading.set(process, signal);
  }

  /** A replica has read, or failed to. */
  hasRead(process: Process, signal: AbortSignal, answer: ChangePage | TableChunk | undefined, limit: number): void {
    const rows = answer === undefined ? 0 : 'changes' in answer ? answer.changes.length : answer.rows.length;
    if (rows > limit) {
      this.tell('memory is bounded', `${rows} rows were read where ${limit} are the most`);
    }
    if (this.#reading.get(process) === signal) {
      this.#reading.delete(process);
    }
  }
}

export function placeOf({ phase, epoch }: Checkpoint): string {
  return phase.kind === 'bootstrap'
    ? `bootstrap ${epoch}/${phase.fromVersion} after ${phase.afterKey}`
    : `position ${epoch}/${phase.version} cursor ${phase.cursor?.version}/${phase.cursor?.key}`;
}

function text({ epoch, version }: ChangeVersion): string {
  return `${epoch}/${version}`;
}
