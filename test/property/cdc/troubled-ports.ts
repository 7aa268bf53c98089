import {
  type AcceptOutcome,
  type ChangePage,
  ChangeSink,
  ChangeSource,
  type Checkpoint,
  type CheckpointKey,
  CheckpointStore,
  type ChunkRequest,
  type FailureKind,
  type FeedEvent,
  type HandOff,
  type Lease,
  Leadership,
  type PageRequest,
  type RowChange,
  type SaveOutcome,
  type SourceState,
  type TableChunk,
  type TableDescription,
} from '@smartpulse/cdc';
import type { History } from './history.js';
import type { Process } from './process.js';
import type { Broker, KeptTable, Witness } from './witness.js';

/** Between any two steps of a replica somebody may write, and worse; it may also be gone. */
export class TroubledSource extends ChangeSource {
  constructor(
    private readonly history: History,
    private readonly process: Process,
    private readonly source: ChangeSource,
  ) {
    super();
  }

  override get name(): string {
    return this.source.name;
  }

  override describe(table: string): Promise<TableDescription> {
    return this.#ask(async () => {
      await this.history.jam?.at(table, 'reads');
      return this.source.describe(table);
    });
  }

  override state(tables: readonly string[]): Promise<SourceState> {
    return this.#ask(() => this.source.state(tables));
  }

  override readPage(request: PageRequest): Promise<ChangePage> {
    return this.#read(request, () => this.source.readPage(request));
  }

  override readChunk(request: ChunkRequest): Promise<TableChunk> {
    return this.#read(request, () => this.source.readChunk(request));
  }

  override raiseEpoch(from: bigint, atLeast?: bigint): Promise<bigint> {
    this.history.note('epochs raised');
    return this.#ask(() => this.source.raiseEpoch(from, atLeast));
  }

  override failureOf(error: unknown): FailureKind {
    return this.source.failureOf(error);
  }

  override async close(): Promise<void> {}

  async #read<T extends ChangePage | TableChunk>(
    { table, limit, signal }: Pick<PageRequest, 'table' | 'limit' | 'signal'>,
    read: () => Promise<T>,
  ): Promise<T> {
    const witness = this.history.witnessOf(table);
    witness.reads(this.process, signal);
    let answer: T | undefined;
    try {
      answer = await this.#ask(async () => {
        await this.history.jam?.at(table, 'reads');
        return read();
      });
      return answer;
    } finally {
      witness.hasRead(this.process, signal, answer, limit);
    }
  }

  #ask<T>(read: () => Promise<T>): Promise<T> {
    const { history, process } = this;
    return process.alive(async () => {
      await history.between();
      if (history.strikes(0.03)) {
        throw new Error('The database does not answer.');
      }
      const answer = await read();
      await history.between();
      return answer;
    });
  }
}

export class TroubledStore extends CheckpointStore {
  constructor(
    private readonly history: History,
    private readonly process: Process,
    private readonly store: CheckpointStore,
  ) {
    super();
  }

  override get durable(): boolean {
    return this.store.durable;
  }

  override load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    return this.process.alive(async () => {
      const loaded = await this.store.load(key);
      await this.history.between();
      return loaded;
    });
  }

  override save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    const { history, process } = this;
    const witness = history.witnessOf(checkpoint.table);
    return process.alive(async () => {
      await history.jam?.at(checkpoint.table, 'saves');
      if (history.chance(0.06)) {
        await history.crash(process, 'crashes after hand-off, before the checkpoint');
        return 'saved';
      }
      if (history.strikes(0.04)) {
        await history.late(200);
      }
      const missing = await witness.missing(checkpoint, history.broker);
      history.began(checkpoint);
      const outcome = await this.store.save(checkpoint, fence);
      if (outcome === 'saved') {
        await witness.saved(checkpoint, fence, missing);
      } else {
        history.note('saves that were fenced off');
      }
      if (history.strikes(0.04)) {
        history.note('saves that were done and then failed');
        throw new Error('The answer was lost.');
      }
      await history.between();
      return outcome;
    });
  }
}

export class TroubledLeadership extends Leadership {
  constructor(
    private readonly history: History,
    private readonly process: Process,
    private readonly leadership: Leadership,
  ) {
    super();
  }

  override acquire(resource: string): Promise<Lease | undefined> {
    const { history, process } = this;
    const table = resource.slice(resource.lastIndexOf(':') + 1);
    return process.alive(async () => {
      await history.jam?.at(table, 'leases');
      const witness = history.witnessOf(table);
      const asking = witness.asksForLease();
      const lease = await this.leadership.acquire(resource);
      if (lease !== undefined && process.dead) {
        await lease.release();
      } else if (lease !== undefined) {
        witness.granted(process, lease, asking);
      }
      return lease;
    });
  }
}

export class TroubledSink extends ChangeSink {
  override readonly instance: string;
  readonly #kept: KeptTable;
  readonly #witness: Witness;
  #fence = 0n;

  constructor(
    private readonly history: History,
    private readonly process: Process,
    private readonly table: string,
    broker: Broker,
  ) {
    super();
    this.instance = broker.instance;
    this.#kept = broker.of(table);
    this.#witness = history.witnessOf(table);
  }

  override accept(changes: readonly RowChange[], handOff: HandOff): Promise<readonly AcceptOutcome[]> {
    const { history, process } = this;
    this.#witness.offered(process, changes, handOff);
    this.#fence = handOff.fence;
    return this.#deliver(async () => {
      if (history.strikes(0.04)) {
        history.note('hand-offs that failed in part');
        this.#keep(changes.slice(0, history.random.int(changes.length + 1)), handOff);
        throw new Error('The broker went away half way.');
      }
      const poison = changes.map(() => history.strikes(0.01));
      this.#keep(
        changes.filter((_, index) => poison[index] !== true),
        handOff,
      );
      return poison.map((one): AcceptOutcome =>
        one ? { status: 'poison', error: new Error('It cannot be read.') } : { status: 'accepted' },
      );
    });
  }

  override announce(event: FeedEvent, handOff: HandOff): Promise<void> {
    this.#witness.announced(event, handOff);
    return this.#deliver(async () => {
      this.#kept.announce(event, handOff);
      this.#witness.accepted(this.#kept, []);
    });
  }

  /** A dead letter is read by the same reader, later: so whoever is never told of one goes missing. */
  async poisoned(change: RowChange): Promise<void> {
    const { history, process } = this;
    await process.alive(async () => {
      if (history.strikes(0.2)) {
        throw new Error('The dead letters are out of reach.');
      }
      history.note('poison that was told of');
      this.#keep([change], { fence: this.#fence });
    });
  }

  #keep(changes: readonly RowChange[], handOff: Pick<HandOff, 'fence'>): void {
    this.#kept.accept(changes, handOff);
    this.#witness.accepted(this.#kept, changes);
  }

  /** A hand-off may arrive late, also when its sender has died or lost its lease in the meantime. */
  #deliver<T>(store: () => Promise<T>): Promise<T> {
    const { history, process, table } = this;
    return process.alive(async () => {
      await history.jam?.at(table, 'hand-offs');
      return history.onItsWay(async () => {
        await history.between();
        if (history.strikes(0.15)) {
          await history.late(300);
        }
        if (history.strikes(0.04)) {
          history.note('hand-offs that failed whole');
          throw new Error('The broker does not answer.');
        }
        return store();
      });
    });
  }
}
