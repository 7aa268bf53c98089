import {
  type AcceptOutcome,
  CdcRegistry,
  type ChangePage,
  ChangeSink,
  ChangeSource,
  type ChangeTracker,
  type Checkpoint,
  type CheckpointKey,
  CheckpointStore,
  type ChunkRequest,
  type FeedEvent,
  type HandOff,
  InProcessPollSignal,
  type Lease,
  Leadership,
  type PageRequest,
  type Row,
  type RowChange,
  type SaveOutcome,
  type SourceState,
  type TableChunk,
  type TableDescription,
} from '@smartpulse/cdc';
import {
  InMemoryChangeSource,
  InMemoryCheckpointStore,
  type InMemoryBackup,
  InProcessLeadership,
  TableFold,
} from '@smartpulse/cdc/testing';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';

const TABLE = 'dbo.stock';
const OTHER_TABLE = 'dbo.other';
const CONSUMER = 'reader';
const KEYS = 12;
const REPLICAS = 2;

export interface HistoryOptions {
  readonly seed: number;
  readonly pageSize: number;
  readonly chunkSize: number;
  readonly steps: number;
  /** `crashes`: writers and crashes only. `all`: everything else too. */
  readonly trouble: 'crashes' | 'all';
  /** How a position becomes a page request: the tracker's own rule, or the lossy one. */
  readonly rule: 'keyset' | 'lastVersion';
}

export interface HistoryOutcome {
  readonly reader: readonly (readonly [string, Row])[];
  readonly table: readonly (readonly [string, Row])[];
  /** Checkpoints that were saved before everything at or below them was accepted. */
  readonly ahead: readonly string[];
  readonly happened: Readonly<Record<string, number>>;
  readonly timersLeft: number;
}

/** What a broker keeps: a sink's acceptances, folded by a reader. Another object = another instance. */
class Broker {
  readonly fold: TableFold;

  constructor(
    readonly instance: string,
    keyOf: (row: Row) => string,
  ) {
    this.fold = new TableFold(keyOf);
  }
}

/** One process: when it is dead, nothing that it does reaches anybody, and its calls never return. */
class Replica {
  dead = false;
  tracker!: ChangeTracker;

  /** `work`'s answer, unless the process died before or meanwhile. */
  async alive<T>(work: () => Promise<T>): Promise<T> {
    if (!this.dead) {
      const value = await work();
      if (!this.dead) {
        return value;
      }
    }
    return new Promise<T>(() => {});
  }
}

/** A database, two replicas of a tracker, a broker and a reader, and what befalls them in the order that a seed says. */
export class History {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly source = new InMemoryChangeSource('db', [
    { table: TABLE, primaryKey: ['id'], columns: ['id', 'value'] },
    { table: OTHER_TABLE, primaryKey: ['id'] },
  ]);
  readonly store = new InMemoryCheckpointStore();
  readonly leadership = new InProcessLeadership();
  readonly signal = new InProcessPollSignal();
  readonly happened: Record<string, number> = {};
  readonly ahead: string[] = [];
  broker: Broker;
  /** Hand-offs and saves that are under way, also of dead processes and of lost leases. */
  inFlight = 0;
  troubled = true;
  #replicas: Replica[] = [];
  #backup: InMemoryBackup | undefined;
  #values = 0;
  #instances = 0;

  constructor(readonly options: HistoryOptions) {
    this.random = new SeededRandom(options.seed);
    this.broker = this.#newBroker();
  }

  async run(): Promise<void> {
    for (let index = 0; index < REPLICAS; index++) {
      this.#boot();
    }
    for (let step = 0; step < this.options.steps; step++) {
      this.#befall();
      await this.clock.advance(this.random.int(120));
    }
    this.troubled = false;
    await this.clock.until(() => this.#quiet());
    await Promise.all(this.#replicas.map(({ tracker }) => tracker.stop()));
    await this.clock.settle();
  }

  outcome(): HistoryOutcome {
    return {
      reader: sorted(this.broker.fold.rows),
      table: sorted(this.source.rows(TABLE)),
      ahead: this.ahead,
      happened: this.happened,
      timersLeft: this.clock.pendingTimers,
    };
  }

  chance(share: number): boolean {
    return this.troubled && this.random.next() < share;
  }

  note(name: string): void {
    this.happened[name] = (this.happened[name] ?? 0) + 1;
  }

  /** Between any two steps of a tracker somebody may write, and worse. */
  between(): void {
    if (this.chance(0.25)) {
      this.#befall();
    }
  }

  /** The process is gone, its lease with it; another takes its place. */
  crash(replica: Replica, where: string): void {
    if (replica.dead) {
      return;
    }
    replica.dead = true;
    this.note(where);
    if (replica.tracker.state.kind === 'bootstrapping') {
      this.note('bootstraps that a crash interrupted');
    }
    // Ends its timers; whatever else it tries does not get through.
    void replica.tracker.stop(AbortSignal.abort());
    this.leadership.revoke();
    this.#replicas = this.#replicas.filter((one) => one !== replica);
    this.#boot();
  }

  #boot(): void {
    const replica = new Replica();
    const registry = new CdcRegistry({
      source: new TroubledSource(this, replica),
      checkpoints: new TroubledStore(this, replica),
      leadership: new TroubledLeadership(this, replica),
      pollSignal: this.signal,
      clock: this.clock,
      random: this.random,
    });
    replica.tracker = registry.track({
      consumer: CONSUMER,
      table: TABLE,
      sink: new TroubledSink(this, replica, this.broker),
      pageSize: this.options.pageSize,
      chunkSize: this.options.chunkSize,
      minIntervalMs: 20,
      maxIntervalMs: 200,
      heartbeatIntervalMs: 300,
      errorBackoff: { initialMs: 10, multiplier: 2, maxMs: 100, jitter: 'equal' },
      leaseRetry: { initialMs: 10, multiplier: 1.5, maxMs: 80, jitter: 'equal' },
    });
    this.#replicas.push(replica);
    replica.tracker.start();
  }

  #newBroker(): Broker {
    this.#instances += 1;
    return new Broker(`broker-${this.#instances}`, (primaryKey) => this.source.keyOf(TABLE, primaryKey));
  }

  /** The store's checkpoint is the database's state, in every respect that a tracker must notice. */
  async #quiet(): Promise<boolean> {
    const checkpoint = await this.store.load({ consumer: CONSUMER, source: 'db', table: TABLE });
    const table = (await this.source.state([TABLE])).tables.get(TABLE);
    const { schemaHash } = await this.source.describe(TABLE);
    return (
      this.inFlight === 0 &&
      checkpoint?.phase.kind === 'streaming' &&
      checkpoint.phase.version === this.source.version &&
      checkpoint.phase.cursor === null &&
      checkpoint.epoch === this.source.epoch &&
      checkpoint.sinkInstance === this.broker.instance &&
      checkpoint.objectId === table?.objectId &&
      checkpoint.beginVersion === table.beginVersion &&
      checkpoint.schemaHash === schemaHash
    );
  }

  #befall(): void {
    const draw = this.random.next();
    if (draw < 0.55 || this.options.trouble === 'crashes') {
      if (draw > 0.97) {
        this.#crashSomebody();
      }
      this.#commit(1 + this.random.int(4));
    } else if (draw < 0.7) {
      this.#commit(this.options.pageSize + 1 + this.random.int(KEYS));
      this.note('commits of more rows than a page');
    } else if (draw < 0.74) {
      this.source.commit((tx) => tx.upsert(OTHER_TABLE, { id: 1 }));
    } else if (draw < 0.8) {
      this.source.cleanUp(BigInt(this.random.int(Number(this.source.version) + 1)));
    } else if (draw < 0.82) {
      this.source.truncate(TABLE);
    } else if (draw < 0.83) {
      this.source.recreate(TABLE);
    } else if (draw < 0.84) {
      this.source.addColumn(TABLE, `column${this.random.int(1_000_000)}`);
    } else if (draw < 0.86) {
      this.#restoreOrBackUp();
    } else if (draw < 0.9) {
      this.leadership.revoke();
      this.note('leases lost');
    } else if (draw < 0.92) {
      this.#loseBroker();
    } else if (draw < 0.96) {
      this.#crashSomebody();
    } else {
      this.signal.nudge([TABLE]);
    }
  }

  #commit(rows: number): void {
    this.source.commit((tx) => {
      for (let row = 0; row < rows; row++) {
        const id = this.random.int(KEYS);
        const draw = this.random.next();
        if (draw < 0.65) {
          tx.upsert(TABLE, { id, value: ++this.#values });
        } else {
          tx.delete(TABLE, { id });
          if (draw < 0.75) {
            tx.upsert(TABLE, { id, value: ++this.#values });
            this.note('rows deleted and inserted again');
          }
        }
      }
    });
    if (this.random.next() < 0.5) {
      this.signal.nudge([TABLE]);
    }
  }

  #restoreOrBackUp(): void {
    if (this.#backup === undefined || this.random.next() < 0.3) {
      this.#backup = this.source.backUp();
    } else {
      this.source.restore(this.#backup, { newEpoch: true });
    }
  }

  /** The broker is lost with all that it had; its publishers restart with it. */
  #loseBroker(): void {
    this.broker = this.#newBroker();
    this.#replicas.slice().forEach((replica) => this.crash(replica, 'crashes elsewhere'));
  }

  #crashSomebody(): void {
    const replica = this.#replicas[this.random.int(this.#replicas.length)];
    if (replica !== undefined) {
      this.crash(replica, 'crashes elsewhere');
    }
  }
}

class TroubledSource extends ChangeSource {
  override readonly name = 'db';

  constructor(
    private readonly history: History,
    private readonly replica: Replica,
  ) {
    super();
  }

  override describe(table: string): Promise<TableDescription> {
    return this.#ask(() => this.history.source.describe(table));
  }

  override state(tables: readonly string[]): Promise<SourceState> {
    return this.#ask(() => this.history.source.state(tables));
  }

  override readPage(request: PageRequest): Promise<ChangePage> {
    const lossy = this.history.options.rule === 'lastVersion';
    const asked = lossy ? { ...request, after: request.cursor?.version ?? request.after, cursor: null } : request;
    return this.#ask(() => this.history.source.readPage(asked));
  }

  override readChunk(request: ChunkRequest): Promise<TableChunk> {
    return this.#ask(() => this.history.source.readChunk(request));
  }

  override async close(): Promise<void> {}

  #ask<T>(read: () => Promise<T>): Promise<T> {
    return this.replica.alive(async () => {
      this.history.between();
      if (this.history.options.trouble === 'all' && this.history.chance(0.03)) {
        throw new Error('The database does not answer.');
      }
      const answer = await read();
      this.history.between();
      return answer;
    });
  }
}

class TroubledStore extends CheckpointStore {
  override readonly durable = true;

  constructor(
    private readonly history: History,
    private readonly replica: Replica,
  ) {
    super();
  }

  override load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    return this.replica.alive(async () => {
      const loaded = await this.history.store.load(key);
      this.history.between();
      return loaded;
    });
  }

  override save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    const { history, replica } = this;
    return replica.alive(async () => {
      if (history.chance(0.06)) {
        history.crash(replica, 'crashes after hand-off, before the checkpoint');
        return 'saved';
      }
      this.#judge(checkpoint);
      if (history.options.trouble === 'all' && history.chance(0.04)) {
        await this.#late();
      }
      const outcome = await history.store.save(checkpoint, fence);
      if (history.options.trouble === 'all' && history.chance(0.04)) {
        history.note('saves that were done and then failed');
        throw new Error('The answer was lost.');
      }
      history.between();
      return outcome;
    });
  }

  /** A save may be on its way when its sender loses the lease. */
  async #late(): Promise<void> {
    this.history.inFlight += 1;
    await this.history.clock.sleep(this.history.random.int(200));
    this.history.inFlight -= 1;
  }

  /** Everything at or below a saved position must have been accepted by the sink that the checkpoint names. */
  #judge(checkpoint: Checkpoint): void {
    const { broker, source, ahead } = this.history;
    const { phase } = checkpoint;
    if (checkpoint.sinkInstance !== broker.instance || checkpoint.epoch !== source.epoch) {
      return;
    }
    if (phase.kind === 'bootstrap') {
      if (phase.afterKey === null) {
        this.history.note(`resyncs: ${phase.reason}`);
      }
      return;
    }
    for (const [key, { version }] of source.log(TABLE)) {
      const { cursor } = phase;
      const inside = cursor !== null && (version < cursor.version || (version === cursor.version && key <= cursor.key));
      const stamp = broker.fold.stampOf(key);
      const has = stamp.epoch > checkpoint.epoch || (stamp.epoch === checkpoint.epoch && stamp.version >= version);
      if ((version <= phase.version || inside) && !has) {
        ahead.push(`version ${version} of key ${key} at checkpoint ${phase.version}`);
      }
    }
  }
}

class TroubledLeadership extends Leadership {
  constructor(
    private readonly history: History,
    private readonly replica: Replica,
  ) {
    super();
  }

  override acquire(resource: string): Promise<Lease | undefined> {
    return this.replica.alive(async () => {
      const lease = await this.history.leadership.acquire(resource);
      if (lease !== undefined && this.replica.dead) {
        await lease.release();
      }
      return lease;
    });
  }
}

class TroubledSink extends ChangeSink {
  override readonly instance: string;

  constructor(
    private readonly history: History,
    private readonly replica: Replica,
    private readonly broker: Broker,
  ) {
    super();
    this.instance = broker.instance;
  }

  override accept(changes: readonly RowChange[], handOff: HandOff): Promise<readonly AcceptOutcome[]> {
    const { history, broker } = this;
    return this.#deliver(async () => {
      if (history.options.trouble === 'all' && history.chance(0.04)) {
        history.note('hand-offs that failed in part');
        broker.fold.accept(changes.slice(0, history.random.int(changes.length + 1)), handOff);
        throw new Error('The broker went away half way.');
      }
      broker.fold.accept(changes, handOff);
      return changes.map((): AcceptOutcome => ({ status: 'accepted' }));
    });
  }

  override announce(event: FeedEvent, handOff: HandOff): Promise<void> {
    return this.#deliver(async () => this.broker.fold.announce(event, handOff));
  }

  /** A hand-off may arrive late, also when its sender has died or lost its lease in the meantime. */
  #deliver<T>(store: () => Promise<T>): Promise<T> {
    const { history, replica } = this;
    return replica.alive(async () => {
      history.inFlight += 1;
      try {
        history.between();
        if (history.options.trouble === 'all' && history.chance(0.15)) {
          await history.clock.sleep(history.random.int(300));
        }
        if (history.options.trouble === 'all' && history.chance(0.04)) {
          history.note('hand-offs that failed whole');
          throw new Error('The broker does not answer.');
        }
        return await store();
      } finally {
        history.inFlight -= 1;
      }
    });
  }
}

function sorted(rows: ReadonlyMap<string, Row>): readonly (readonly [string, Row])[] {
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
}
