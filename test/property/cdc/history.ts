import {
  CdcRegistry,
  type ChangeSink,
  type ChangeSource,
  type Checkpoint,
  type ChangeTracker,
  InProcessPollSignal,
  type Row,
} from '@smartpulse/cdc';
import type { Clock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { Jam } from './jam.js';
import { Process } from './process.js';
import { Readers } from './readers.js';
import {
  CONSUMER,
  type Deed,
  type ReaderTwin,
  type ReplicaParts,
  type StatementTwin,
  type Subject,
  type SubjectOptions,
  type Write,
} from './subjects/subject.js';
import { type HistoryTable, KEYS, oneOf, someTables } from './subjects/tables.js';
import { TroubledLeadership, TroubledSink, TroubledSource, TroubledStore } from './troubled-ports.js';
import { Broker, theOne, type Violation, Witness } from './witness.js';

/** Whoever is not stuck is done by then, in milliseconds, where it need not wait for the lease of a dead holder. */
const MOST_WAIT_MS = 2_000;

/** A rule broken on purpose, in the parts or in what they send to the server: what a history of such a tracker must find. */
export interface Twin {
  readonly parts?: (parts: ReplicaParts, clock: Clock) => ReplicaParts;
  /** What its trackers ask the source through. */
  readonly asking?: (source: ChangeSource) => ChangeSource;
  /** Of one process: each of its sinks is led through what this answers. */
  readonly sinks?: () => (sink: ChangeSink) => ChangeSink;
  readonly statement?: StatementTwin;
  readonly reader?: ReaderTwin;
}

/** How a history goes. */
export interface HistoryOptions {
  readonly subject: (options: SubjectOptions) => Promise<Subject>;
  readonly seed: number;
  /** `crashes`: writers and crashes only. `all`: everything else too. */
  readonly trouble: 'crashes' | 'all';
  readonly twin?: Twin;
  /** How long everything may take to come to rest, in milliseconds of the subject's clock. Default: 600,000. */
  readonly patienceMs?: number;
}

/** What a history came to. */
export interface HistoryOutcome {
  readonly violations: readonly Violation[];
  readonly happened: ReadonlyMap<string, number>;
}

interface Replica {
  readonly process: Process;
  readonly parts: ReplicaParts;
  readonly trackers: readonly ChangeTracker[];
}

/**
 * A database with one to three tables, one to three replicas that follow them, a broker and its readers, and what befalls them in the order that a seed
 * says. It ends when everything is quiet; then the readers have the tables' rows, and on the way nothing happened that a {@link Witness} objects to.
 */
export class History {
  readonly random: SeededRandom;
  readonly signal = new InProcessPollSignal();
  readonly happened = new Map<string, number>();
  broker: Broker;
  /** One table that does not go on, at the end of a history of several. */
  jam: Jam | undefined;
  troubled = true;
  /** Hand-offs and saves that are under way, also of dead processes and of lost leases. */
  #onItsWay = 0;
  readonly #options: HistoryOptions;
  readonly #subject: Subject;
  readonly #tables: readonly HistoryTable[];
  readonly #witnesses: ReadonlyMap<string, Witness>;
  readonly #readers: Readers;
  readonly #sizes: { readonly pageSize: number; readonly chunkSize: number };
  #replicas: Replica[] = [];
  #values = 0;
  #instances = 0;

  private constructor(
    options: HistoryOptions,
    random: SeededRandom,
    subject: Subject,
    tables: readonly HistoryTable[],
  ) {
    this.#options = options;
    this.random = random;
    this.#subject = subject;
    this.#tables = tables;
    this.#witnesses = new Map(tables.map((table) => [table.name, new Witness(subject, table)]));
    this.#sizes = { pageSize: 1 + random.int(6), chunkSize: 1 + random.int(6) };
    this.broker = this.#newBroker();
    this.#readers = new Readers(this, subject);
  }

  /** Runs the history of a seed to its end. */
  static async play(options: HistoryOptions): Promise<HistoryOutcome> {
    const random = new SeededRandom(options.seed);
    const at: { history?: History } = {};
    const tables = someTables(random);
    const subject = await options.subject({
      tables,
      random,
      troubled: () => at.history?.troubled ?? false,
      note: (name) => at.history?.note(name),
      onItsWay: async (work) => at.history?.onItsWay(work),
      statementTwin: options.twin?.statement,
      readerTwin: options.twin?.reader,
    });
    const history = new History(options, random, subject, tables);
    at.history = history;
    history.note(`tables: ${tables.length}`);
    await history.#run();
    return { violations: history.#violations, happened: history.happened };
  }

  get #violations(): readonly Violation[] {
    return [...this.#witnesses.values()].flatMap(({ violations }) => violations);
  }

  witnessOf(table: string): Witness {
    return theOne(this.#witnesses, table);
  }

  chance(share: number): boolean {
    return this.troubled && this.random.next() < share;
  }

  /** As {@link chance}, where more than crashes may happen. */
  strikes(share: number): boolean {
    return this.#options.trouble === 'all' && this.chance(share);
  }

  note(name: string): void {
    this.happened.set(name, (this.happened.get(name) ?? 0) + 1);
  }

  /** A replica is about to save where it is. */
  began({ phase }: Checkpoint): void {
    if (phase.kind === 'bootstrap' && phase.afterKey === null) {
      this.note(`resyncs: ${phase.reason}`);
    }
  }

  /** Between any two steps of a tracker somebody may write, and worse. */
  async between(): Promise<void> {
    if (this.chance(0.2)) {
      await this.#befall();
    }
  }

  /** A cache has learned something of a table by a read. */
  looked({ name }: HistoryTable): void {
    this.witnessOf(name).looked(this.broker.of(name));
  }

  async late(mostMs: number): Promise<void> {
    await this.onItsWay(() => this.#subject.clock.sleep(this.random.int(mostMs)));
  }

  async onItsWay<T>(work: () => Promise<T>): Promise<T> {
    this.#onItsWay += 1;
    try {
      return await work();
    } finally {
      this.#onItsWay -= 1;
    }
  }

  /** The process is gone; another takes its place. */
  async crash(process: Process, where: string): Promise<void> {
    const replica = this.#replicas.find((one) => one.process === process);
    if (replica === undefined) {
      return;
    }
    this.#replicas = this.#replicas.filter((one) => one !== replica);
    this.note(where);
    if (replica.trackers.some(({ state }) => state.kind === 'bootstrapping')) {
      this.note('bootstraps that a crash interrupted');
    }
    process.kill();
    await this.#subject.crashed(process);
    this.#boot();
  }

  async #run(): Promise<void> {
    const replicas = 1 + this.random.int(3);
    for (let index = 0; index < replicas; index++) {
      this.#boot();
    }
    const steps = 9 + this.random.int(21);
    for (let step = 0; step < steps; step++) {
      await this.#befall();
      await this.#subject.clock.advance(this.random.int(120));
    }
    this.troubled = false;
    await this.#subject.calmDown();
    await Promise.all(this.#replicas.map(({ process }) => process.resume(this.random)));
    await this.#comesToRest();
    await this.#compare();
    if (this.#tables.length > 1 && this.#violations.length === 0) {
      await this.#jamOne();
    }
    await this.#end();
  }

  async #comesToRest(): Promise<void> {
    try {
      await this.#subject.clock.until(() => this.#quiet(this.#tables), this.#options.patienceMs ?? 600_000);
    } catch (error) {
      await this.#tellUnquiet(error, 'the reader equals the table at quiet');
    }
  }

  async #tellUnquiet(error: unknown, invariant: Violation['invariant']): Promise<void> {
    for (const table of this.#tables) {
      if (!(await this.#isQuiet(table))) {
        const trackers = this.#replicas.flatMap((replica) =>
          replica.trackers.filter((one) => one.table === table.name),
        );
        const states = trackers.map(({ state }) => JSON.stringify(state, asText));
        const found = JSON.stringify([await this.#subject.checkpoint(table), await this.#subject.state(table)], asText);
        this.witnessOf(table.name).tell(invariant, `${String(error)} ${states.join()} ${found}`);
      }
    }
  }

  async #compare(): Promise<void> {
    for (const table of this.#tables) {
      const { rows } = await this.#subject.truth(table);
      const truth = told(rows);
      const kept = this.broker.of(table.name);
      const reader = told(new Map([...kept.fold.rows].map(([key, row]) => [Number(key), row])));
      if (truth !== reader) {
        const what = `it has ${reader}, and the table ${truth}`;
        this.witnessOf(table.name).tell('the reader equals the table at quiet', what);
      }
      this.witnessOf(table.name).compares(kept, rows);
    }
  }

  /** One table does not go on any more: the others do, as fast as ever; and when it is over so does this one. */
  async #jamOne(): Promise<void> {
    const stuck = this.#someTable();
    this.jam = new Jam(stuck, this.random);
    if (this.jam.place === 'leases' || this.random.next() < 0.3) {
      await this.#crashSomebody();
    }
    await this.#subject.commit(this.#tables.map((table) => this.#upsert(table)));
    const others = this.#tables.filter((table) => table !== stuck);
    try {
      await this.#subject.clock.until(() => this.#quiet(others), MOST_WAIT_MS + 3 * this.#subject.leaseTtlMs);
    } catch (error) {
      await this.#tellUnquiet(error, 'no table waits for another');
    }
    if (this.jam.struck > 0) {
      this.note(`stuck: ${this.jam.place}`);
    }
    this.jam.end();
    this.jam = undefined;
    await this.#comesToRest();
    await this.#compare();
  }

  async #end(): Promise<void> {
    const { clock } = this.#subject;
    const stopped = Promise.all(this.#replicas.flatMap(({ trackers }) => trackers).map((tracker) => tracker.stop()));
    await clock.settle();
    await stopped;
    await Promise.all(this.#replicas.map(({ parts }) => parts.close()));
    const open = await this.#subject.close();
    await clock.settle();
    const timers = clock.pendingTimers === 0 ? [] : [`${clock.pendingTimers} timers`];
    if (open.length + timers.length > 0) {
      this.witnessOf(this.#someTable().name).tell('nothing is left over', [...open, ...timers].join(', '));
    }
  }

  #boot(): void {
    const process = new Process(this.#subject.clock);
    const made = this.#subject.replica(process);
    const { twin } = this.#options;
    const parts = twin?.parts?.(made, process.clock) ?? made;
    const source = new TroubledSource(this, process, parts.source);
    const registry = new CdcRegistry({
      source: twin?.asking?.(source) ?? source,
      checkpoints: new TroubledStore(this, process, parts.checkpoints),
      leadership: new TroubledLeadership(this, process, parts.leadership),
      pollSignal: this.signal,
      clock: process.clock,
      random: this.random,
    });
    const wait = Math.max(10, this.#subject.leaseTtlMs / 10);
    const led = twin?.sinks?.() ?? ((sink: ChangeSink) => sink);
    const trackers = this.#tables.map(({ name }) => {
      const sink = new TroubledSink(this, process, name, this.broker);
      return registry.track({
        consumer: CONSUMER,
        table: name,
        sink: led(sink),
        onPoison: (change) => sink.poisoned(change),
        ...this.#sizes,
        minIntervalMs: 20,
        maxIntervalMs: 200,
        heartbeatIntervalMs: 300,
        errorBackoff: { initialMs: 10, multiplier: 2, maxMs: 100, jitter: 'equal' },
        leaseRetry: { initialMs: wait, multiplier: 1.5, maxMs: wait * 4, jitter: 'equal' },
      });
    });
    this.#replicas.push({ process, parts, trackers });
    trackers.forEach((tracker) => tracker.start());
  }

  #newBroker(): Broker {
    this.#instances += 1;
    return new Broker(`broker-${this.#instances}`, this.#tables, this.#subject.isolation);
  }

  /** For each table the store's checkpoint is the database's state, in every respect that a tracker must notice. */
  async #quiet(tables: readonly HistoryTable[]): Promise<boolean> {
    if (this.#onItsWay > 0) {
      return false;
    }
    for (const table of tables) {
      if (!(await this.#isQuiet(table))) {
        return false;
      }
    }
    return true;
  }

  async #isQuiet(table: HistoryTable): Promise<boolean> {
    if (!this.#subject.seemsQuiet(table)) {
      return false;
    }
    const checkpoint = await this.#subject.checkpoint(table);
    if (checkpoint?.phase.kind !== 'streaming') {
      return false;
    }
    const { epoch, currentVersion, tables, schemaHash } = await this.#subject.state(table);
    const state = tables.get(table.name);
    return (
      checkpoint.phase.version === currentVersion &&
      checkpoint.phase.cursor === null &&
      checkpoint.epoch === epoch &&
      checkpoint.sinkInstance === this.broker.instance &&
      checkpoint.objectId === state?.objectId &&
      checkpoint.beginVersion === state.beginVersion &&
      checkpoint.schemaHash === schemaHash
    );
  }

  async #befall(): Promise<void> {
    if (this.#options.trouble === 'crashes') {
      await (this.random.next() > 0.97 ? this.#crashSomebody() : this.#commit(1 + this.random.int(4)));
      return;
    }
    const deeds = [...this.#deeds(), ...this.#subject.deeds];
    let at = this.random.next() * deeds.reduce((sum, { weight }) => sum + weight, 0);
    const chosen = deeds.find(({ weight }) => (at -= weight) < 0);
    if (chosen !== undefined) {
      this.note(chosen.name);
      await chosen.strike();
    }
  }

  #deeds(): readonly Deed[] {
    const { pageSize } = this.#sizes;
    return [
      { name: 'commits', weight: 50, strike: () => this.#commit(1 + this.random.int(4)) },
      {
        name: 'commits of more rows than a page',
        weight: 14,
        strike: () => this.#commit(pageSize + 1 + this.random.int(KEYS)),
      },
      { name: 'reads', weight: 14, strike: () => this.#read() },
      { name: 'commits elsewhere', weight: 4, strike: () => this.#subject.commitElsewhere() },
      { name: 'brokers lost', weight: 2, strike: () => this.#loseBroker() },
      { name: 'processes that stood still', weight: 4, strike: () => this.#pauseSomebody() },
      { name: 'nudges', weight: 4, strike: () => this.#nudge() },
      { name: 'unlucky ones', weight: 4, strike: () => this.#crashSomebody() },
    ];
  }

  /** Mostly of one table; its rows come first. */
  async #commit(rows: number): Promise<void> {
    const main = this.#someTable();
    const writes = Array.from({ length: rows }, () =>
      this.#write(this.random.next() < 0.7 ? main : this.#someTable()),
    ).flat();
    await this.#subject.commit(writes);
    if (this.random.next() < 0.5) {
      this.#nudge();
    }
  }

  #write(table: HistoryTable): readonly Write[] {
    const upsert = this.#upsert(table);
    const { key } = upsert;
    const draw = this.random.next();
    if (draw < 0.62) {
      return [upsert];
    }
    if (draw < 0.74) {
      this.note('rows deleted and inserted again');
      return [{ kind: 'delete', table, key }, upsert];
    }
    if (draw < 0.82) {
      this.note('keys changed');
      return [{ ...upsert, kind: 'rekey', to: this.random.int(KEYS) }];
    }
    return [{ kind: 'delete', table, key }];
  }

  /** Values leave room for writers that count one up. */
  #upsert(table: HistoryTable): Extract<Write, { kind: 'upsert' }> {
    this.#values += 1_000;
    return { kind: 'upsert', table, key: this.random.int(KEYS), value: this.#values };
  }

  /** Nobody waits for it: writers and trackers go on. */
  #read(): void {
    void this.onItsWay(() => this.#readers.read(this.#someTable()));
  }

  #nudge(): void {
    this.signal.nudge([this.#someTable().name]);
  }

  /** The broker is lost with all that it had; its publishers restart with it. */
  async #loseBroker(): Promise<void> {
    this.broker = this.#newBroker();
    for (const { process } of this.#replicas.slice()) {
      await this.crash(process, 'crashes elsewhere');
    }
  }

  async #crashSomebody(): Promise<void> {
    const replica = this.#somebody();
    if (replica !== undefined) {
      await this.crash(replica.process, 'crashes elsewhere');
    }
  }

  /** Shorter or longer than a lease lives. */
  #pauseSomebody(): void {
    const replica = this.#somebody();
    if (replica !== undefined) {
      const { process } = replica;
      const { clock, leaseTtlMs } = this.#subject;
      process.pause();
      void this.onItsWay(async () => {
        await clock.sleep(this.random.int(200 + leaseTtlMs * 2));
        await process.resume(this.random);
      });
    }
  }

  #someTable(): HistoryTable {
    return oneOf(this.#tables, this.random);
  }

  #somebody(): Replica | undefined {
    return this.#replicas[this.random.int(this.#replicas.length)];
  }
}

function told(rows: ReadonlyMap<number, Row>): string {
  return [...rows]
    .sort(([a], [b]) => a - b)
    .map(([, row]) =>
      Object.keys(row)
        .toSorted()
        .map((column) => `${column}=${String(row[column])}`)
        .join(','),
    )
    .join('; ');
}

function asText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint'
    ? `${value}`
    : value instanceof Map
      ? [...value]
      : value instanceof Error
        ? value.message
        : value;
}
