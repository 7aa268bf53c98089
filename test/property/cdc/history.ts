import { CdcRegistry, type Checkpoint, type ChangeTracker, InProcessPollSignal, type Row } from '@smartpulse/cdc';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { Process } from './process.js';
import {
  CONSUMER,
  type Deed,
  type ReplicaParts,
  type StatementTwin,
  type Subject,
  type SubjectOptions,
  TABLE,
  type Write,
} from './subjects/subject.js';
import { TroubledLeadership, TroubledSink, TroubledSource, TroubledStore } from './troubled-ports.js';
import { Broker, type Violation, Witness } from './witness.js';

const KEYS = 12;

/** A rule broken on purpose, in the parts or in what they send to the server: what a history of such a tracker must find. */
export interface Twin {
  readonly parts?: (parts: ReplicaParts) => ReplicaParts;
  readonly statement?: StatementTwin;
}

/** How a history goes. */
export interface HistoryOptions {
  readonly subject: (options: SubjectOptions) => Promise<Subject>;
  readonly seed: number;
  /** `crashes`: writers and crashes only. `all`: everything else too. */
  readonly trouble: 'crashes' | 'all';
  readonly twin?: Twin;
}

/** What a history came to. */
export interface HistoryOutcome {
  readonly violations: readonly Violation[];
  readonly happened: ReadonlyMap<string, number>;
}

interface Replica {
  readonly process: Process;
  readonly parts: ReplicaParts;
  readonly tracker: ChangeTracker;
}

/**
 * A database, one to three replicas of a tracker, a broker and a reader, and what befalls them in the order that a seed says. It ends when everything
 * is quiet; then the reader has the table's rows, and on the way nothing happened that a {@link Witness} objects to.
 */
export class History {
  readonly random: SeededRandom;
  readonly signal = new InProcessPollSignal();
  readonly happened = new Map<string, number>();
  readonly witness: Witness;
  broker: Broker;
  troubled = true;
  /** Hand-offs and saves that are under way, also of dead processes and of lost leases. */
  #onItsWay = 0;
  readonly #options: HistoryOptions;
  readonly #subject: Subject;
  readonly #sizes: { readonly pageSize: number; readonly chunkSize: number };
  #replicas: Replica[] = [];
  #values = 0;
  #instances = 0;

  private constructor(options: HistoryOptions, random: SeededRandom, subject: Subject) {
    this.#options = options;
    this.random = random;
    this.#subject = subject;
    this.witness = new Witness(subject);
    this.#sizes = { pageSize: 1 + random.int(6), chunkSize: 1 + random.int(6) };
    this.broker = this.#newBroker();
  }

  /** Runs the history of a seed to its end. */
  static async play(options: HistoryOptions): Promise<HistoryOutcome> {
    const random = new SeededRandom(options.seed);
    const at: { history?: History } = {};
    const subject = await options.subject({
      random,
      troubled: () => at.history?.troubled ?? false,
      note: (name) => at.history?.note(name),
      onItsWay: async (work) => at.history?.onItsWay(work),
      statementTwin: options.twin?.statement,
    });
    const history = new History(options, random, subject);
    at.history = history;
    await history.#run();
    return { violations: history.witness.violations, happened: history.happened };
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
    if (replica.tracker.state.kind === 'bootstrapping') {
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
    const steps = 10 + this.random.int(24);
    for (let step = 0; step < steps; step++) {
      await this.#befall();
      await this.#subject.clock.advance(this.random.int(120));
    }
    this.troubled = false;
    await this.#subject.calmDown();
    await Promise.all(this.#replicas.map(({ process }) => process.resume(this.random)));
    await this.#comesToRest();
    await this.#compare();
    await this.#end();
  }

  async #comesToRest(): Promise<void> {
    try {
      await this.#subject.clock.until(() => this.#quiet(), 600_000);
    } catch (error) {
      const states = this.#replicas.map(({ tracker }) => JSON.stringify(tracker.state, asText));
      const found = JSON.stringify([await this.#subject.checkpoint(), await this.#subject.state()], asText);
      this.witness.tell('the reader equals the table at quiet', `${String(error)} ${states.join()} ${found}`);
    }
  }

  async #compare(): Promise<void> {
    const table = told(await this.#subject.rows());
    const reader = told(new Map([...this.broker.fold.rows].map(([id, row]) => [Number(id), row])));
    if (table !== reader) {
      this.witness.tell('the reader equals the table at quiet', `it has ${reader}, and the table ${table}`);
    }
  }

  async #end(): Promise<void> {
    const { clock } = this.#subject;
    const stopped = Promise.all(this.#replicas.map(({ tracker }) => tracker.stop()));
    await clock.settle();
    await stopped;
    await Promise.all(this.#replicas.map(({ parts }) => parts.close()));
    const open = await this.#subject.close();
    await clock.settle();
    const timers = clock.pendingTimers === 0 ? [] : [`${clock.pendingTimers} timers`];
    if (open.length + timers.length > 0) {
      this.witness.tell('nothing is left over', [...open, ...timers].join(', '));
    }
  }

  #boot(): void {
    const process = new Process(this.#subject.clock);
    const made = this.#subject.replica(process);
    const parts = this.#options.twin?.parts?.(made) ?? made;
    const sink = new TroubledSink(this, process, this.broker);
    const registry = new CdcRegistry({
      source: new TroubledSource(this, process, parts.source),
      checkpoints: new TroubledStore(this, process, parts.checkpoints),
      leadership: new TroubledLeadership(this, process, parts.leadership),
      pollSignal: this.signal,
      clock: process.clock,
      random: this.random,
    });
    const wait = Math.max(10, this.#subject.leaseTtlMs / 10);
    const tracker = registry.track({
      consumer: CONSUMER,
      table: TABLE,
      sink,
      onPoison: (change) => sink.poisoned(change),
      ...this.#sizes,
      minIntervalMs: 20,
      maxIntervalMs: 200,
      heartbeatIntervalMs: 300,
      errorBackoff: { initialMs: 10, multiplier: 2, maxMs: 100, jitter: 'equal' },
      leaseRetry: { initialMs: wait, multiplier: 1.5, maxMs: wait * 4, jitter: 'equal' },
    });
    this.#replicas.push({ process, parts, tracker });
    tracker.start();
  }

  #newBroker(): Broker {
    this.#instances += 1;
    return new Broker(`broker-${this.#instances}`);
  }

  /** The store's checkpoint is the database's state, in every respect that a tracker must notice. */
  async #quiet(): Promise<boolean> {
    if (this.#onItsWay > 0 || !this.#subject.seemsQuiet()) {
      return false;
    }
    const checkpoint = await this.#subject.checkpoint();
    if (checkpoint?.phase.kind !== 'streaming') {
      return false;
    }
    const { epoch, currentVersion, tables, schemaHash } = await this.#subject.state();
    const table = tables.get(TABLE);
    return (
      checkpoint.phase.version === currentVersion &&
      checkpoint.phase.cursor === null &&
      checkpoint.epoch === epoch &&
      checkpoint.sinkInstance === this.broker.instance &&
      checkpoint.objectId === table?.objectId &&
      checkpoint.beginVersion === table.beginVersion &&
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
      { name: 'commits elsewhere', weight: 4, strike: () => this.#subject.commitElsewhere() },
      { name: 'brokers lost', weight: 2, strike: () => this.#loseBroker() },
      { name: 'processes that stood still', weight: 4, strike: () => this.#pauseSomebody() },
      { name: 'nudges', weight: 4, strike: () => this.signal.nudge([TABLE]) },
      { name: 'unlucky ones', weight: 4, strike: () => this.#crashSomebody() },
    ];
  }

  async #commit(rows: number): Promise<void> {
    const writes = Array.from({ length: rows }, () => this.#write()).flat();
    await this.#subject.commit(writes);
    if (this.random.next() < 0.5) {
      this.signal.nudge([TABLE]);
    }
  }

  #write(): readonly Write[] {
    const id = this.random.int(KEYS);
    const upsert: Write = { kind: 'upsert', id, value: ++this.#values };
    const draw = this.random.next();
    if (draw < 0.62) {
      return [upsert];
    }
    if (draw < 0.74) {
      this.note('rows deleted and inserted again');
      return [{ kind: 'delete', id }, upsert];
    }
    if (draw < 0.82) {
      this.note('keys changed');
      return [{ kind: 'rekey', id, to: this.random.int(KEYS) }];
    }
    return [{ kind: 'delete', id }];
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
