import { Logger } from '@nestjs/common';
import {
  type AcceptOutcome,
  type ChangePage,
  ChangeSink,
  ChangeSource,
  type ChangeVersion,
  type ChunkRequest,
  type FailureKind,
  type FeedEvent,
  type HandOff,
  type Lease,
  Leadership,
  type PageRequest,
  type RowChange,
  type SourceState,
  type Stamped,
  StampedReader,
  type TableChunk,
  type TableDescription,
} from '@smartpulse/cdc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBroken } from './histories.js';
import type { Twin } from './history.js';
import { EmbeddedSubject } from './subjects/embedded.subject.js';
import { InMemorySubject } from './subjects/in-memory.subject.js';
import { SqlServerSubject } from './subjects/sql-server.subject.js';
import { WireClock, wireLine } from './subjects/wire.line.js';

/** So many seeds are tried, whatever seeds the histories are to play; each twin is found among the first of them. */
const SEEDS = Array.from({ length: 400 }, (_, index) => index + 1);

/** A twin may never come to rest, and is not waited for as long; but longer than somebody is who must mend a configuration. */
const PATIENCE_MS = 100_000;

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

/** A source by way of another. */
class SourceBehind extends ChangeSource {
  constructor(protected readonly source: ChangeSource) {
    super();
  }

  override get name(): string {
    return this.source.name;
  }

  override describe(table: string): Promise<TableDescription> {
    return this.source.describe(table);
  }

  override state(tables: readonly string[]): Promise<SourceState> {
    return this.source.state(tables);
  }

  override readPage(request: PageRequest): Promise<ChangePage> {
    return this.source.readPage(request);
  }

  override readChunk(request: ChunkRequest): Promise<TableChunk> {
    return this.source.readChunk(request);
  }

  override raiseEpoch(from: bigint, atLeast?: bigint): Promise<bigint> {
    return this.source.raiseEpoch(from, atLeast);
  }

  override failureOf(error: unknown): FailureKind {
    return this.source.failureOf(error);
  }

  override async close(): Promise<void> {}
}

/** Takes the last row's version for complete, as most pollers do. */
class LastVersionSource extends SourceBehind {
  override readPage(request: PageRequest): Promise<ChangePage> {
    return this.source.readPage({ ...request, after: request.cursor?.version ?? request.after, cursor: null });
  }
}

/** Reads all that there is at once. */
class WholeSource extends SourceBehind {
  override readPage(request: PageRequest): Promise<ChangePage> {
    return super.readPage({ ...request, limit: 1_000_000 });
  }

  override readChunk(request: ChunkRequest): Promise<TableChunk> {
    return super.readChunk({ ...request, limit: 1_000_000 });
  }
}

/** Reads the next page while the last one is on its way to the sink. */
class ReadAheadSource extends SourceBehind {
  override async readPage(request: PageRequest): Promise<ChangePage> {
    const page = await super.readPage(request);
    void Promise.allSettled([super.readPage({ ...request, cursor: page.cursors.at(-1) ?? request.cursor })]);
    return page;
  }
}

const whole: Twin = { parts: (parts) => ({ ...parts, source: new WholeSource(parts.source) }) };
const readAhead: Twin = { asking: (source) => new ReadAheadSource(source) };

/** Leads by way of another; the leases are as `lease` makes them. */
class LeadershipBehind extends Leadership {
  constructor(
    private readonly leadership: Leadership,
    private readonly lease: (lease: Lease) => Lease,
  ) {
    super();
  }

  override async acquire(resource: string): Promise<Lease | undefined> {
    const lease = await this.leadership.acquire(resource);
    return lease && this.lease(lease);
  }
}

const keptLease: Twin = {
  parts: (parts) => ({
    ...parts,
    leadership: new LeadershipBehind(parts.leadership, ({ resource, fence, signal }) => ({
      resource,
      fence,
      signal,
      release: async () => {},
    })),
  }),
};

/** Looks at each lease again and again, also when it was given back long ago. */
const keptTimer: Twin = {
  parts: (parts, clock) => ({
    ...parts,
    leadership: new LeadershipBehind(parts.leadership, (lease) => {
      const look = (): void => void clock.setTimer(1_000, look);
      look();
      return lease;
    }),
  }),
};

const keptConnections: Twin = { parts: (parts) => ({ ...parts, close: async () => {} }) };

const lastVersion: Twin = {
  parts: (parts) => ({ ...parts, source: new LastVersionSource(parts.source) }),
};

/** Hands off for one table after another, as a poller does that has one loop for all of them. */
class OneLaneSink extends ChangeSink {
  constructor(
    private readonly sink: ChangeSink,
    private readonly lane: { last: Promise<unknown> },
  ) {
    super();
  }

  override get instance(): string {
    return this.sink.instance;
  }

  override accept(changes: readonly RowChange[], handOff: HandOff): Promise<readonly AcceptOutcome[]> {
    return this.#inTurn(() => this.sink.accept(changes, handOff));
  }

  override announce(event: FeedEvent, handOff: HandOff): Promise<void> {
    return this.#inTurn(() => this.sink.announce(event, handOff));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.lane.last.then(work, work);
    this.lane.last = turn;
    return turn;
  }
}

const oneLane: Twin = {
  sinks: () => {
    const lane = { last: Promise.resolve() };
    return (sink) => new OneLaneSink(sink, lane);
  },
};

/** Reads the data first and the stamp after it, as who wants the latest stamp would. */
class StampLastReader<TManager> extends StampedReader<TManager> {
  constructor(private readonly reader: StampedReader<TManager>) {
    super();
  }

  override get isolation(): StampedReader['isolation'] {
    return this.reader.isolation;
  }

  override async read<T>(work: (manager: TManager) => Promise<T>): Promise<Stamped<T>> {
    const { value } = await this.reader.read(work);
    return { value, stamp: await this.reader.current() };
  }

  override current(): Promise<ChangeVersion> {
    return this.reader.current();
  }
}

interface Kept {
  stamp?: ChangeVersion;
  left: number;
}

/** Takes one stamp for three reads, and calls each a snapshot. */
class ThriftyReader<TManager> extends StampLastReader<TManager> {
  constructor(
    reader: StampedReader<TManager>,
    private readonly kept: Kept,
  ) {
    super(reader);
  }

  override async read<T>(work: (manager: TManager) => Promise<T>): Promise<Stamped<T>> {
    if (this.kept.stamp === undefined || this.kept.left === 0) {
      this.kept.stamp = await this.current();
      this.kept.left = 3;
    }
    this.kept.left -= 1;
    const { stamp } = this.kept;
    const { value } = await super.read(work);
    return { value, stamp };
  }
}

const stampLast: Twin = { reader: (reader) => new StampLastReader(reader) };

/** A reader for each load, so what they keep is kept outside of them. */
const thrifty = (): Twin => {
  const kept: Kept = { left: 0 };
  return { reader: (reader) => new ThriftyReader(reader, kept) };
};

/** Leaves a part of the statements out. */
const without = (part: RegExp, instead = ''): Twin => ({
  statement: (statement) => ({ ...statement, sql: statement.sql.replaceAll(part, instead) }),
});

describe('The histories find what a tracker would lose', () => {
  it.each([
    [
      'that takes the last row of a page for the end of its transaction, in memory',
      'nothing is missing without an event',
      InMemorySubject.create,
      lastVersion,
    ],
    [
      'that takes the last row of a page for the end of its transaction, on SQL Server',
      'nothing is missing without an event',
      SqlServerSubject.maker({ goesBack: 'database' }),
      lastVersion,
    ],
    ['that reads all that there is at once', 'memory is bounded', InMemorySubject.create, whole],
    [
      'that reads all that there is at once, on SQL Server',
      'memory is bounded',
      SqlServerSubject.maker({ goesBack: 'database' }),
      whole,
    ],
    ['that reads ahead of what is handed off', 'memory is bounded', InMemorySubject.create, readAhead],
    ['that keeps its lease when it stops', 'nothing is left over', InMemorySubject.create, keptLease],
    ['that keeps a timer when it stops', 'nothing is left over', EmbeddedSubject.create, keptTimer],
    [
      'that keeps its connections when it stops',
      'nothing is left over',
      SqlServerSubject.maker({ goesBack: 'database' }),
      keptConnections,
    ],
    ['that hands off for one table after another', 'no table waits for another', InMemorySubject.create, oneLane],
    [
      'whose reader reads the stamp last, in memory',
      'a stamp tells what its value has',
      InMemorySubject.create,
      stampLast,
    ],
    [
      'whose reader reads the stamp last, as its cache shows',
      'a view equals the table at quiet',
      InMemorySubject.create,
      stampLast,
    ],
    [
      'whose reader reads the stamp last, embedded',
      'a stamp tells what its value has',
      EmbeddedSubject.create,
      stampLast,
    ],
    [
      'whose reader reads the stamp last, on SQL Server',
      'a stamp tells what its value has',
      SqlServerSubject.maker({ goesBack: 'database' }),
      stampLast,
    ],
    [
      'whose reader reads the stamp last, through the driver',
      'a stamp tells what its value has',
      SqlServerSubject.maker({ goesBack: 'database', line: wireLine, clock: () => new WireClock() }),
      stampLast,
    ],
    [
      'whose reader takes an old stamp for data of later snapshots',
      'no view goes back',
      InMemorySubject.create,
      thrifty(),
    ],
    [
      'whose positions are saved without the fence',
      'one holder at a time',
      SqlServerSubject.maker({ goesBack: 'clock' }),
      without(/ AND fence <= @fence/g),
    ],
    [
      'that does not ask how far the log is cleaned up',
      'the reader equals the table at quiet',
      SqlServerSubject.maker({ goesBack: 'database' }),
      without(/CHANGE_TRACKING_MIN_VALID_VERSION\(OBJECT_ID\(@table\)\)|t\.min_valid_version/g, 'CONVERT(bigint, 0)'),
    ],
    [
      'that does not ask when tracking began: a truncate moves no version',
      'the reader equals the table at quiet',
      SqlServerSubject.maker({ goesBack: 'database' }),
      without(/t\.begin_version/g, 'CONVERT(bigint, 0)'),
    ],
    [
      'that sees a restore by the counter alone, which may have grown again',
      'no stamp goes back',
      SqlServerSubject.maker({ goesBack: 'database' }),
      without(/@fork AS fork/g, 'CONVERT(nvarchar(36), NULL) AS fork'),
    ],
  ] as const)('%s', async (_tracker, invariant, subject, twin) => {
    const seed = await findBroken(invariant, SEEDS, {
      subject,
      trouble: 'all',
      twin,
      patienceMs: PATIENCE_MS,
    });

    expect(seed).toBeDefined();
  });
});
