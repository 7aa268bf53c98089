import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PortContractError, TableNotFoundError, TableNotTrackedError } from '../cdc.errors.js';
import { CdcHealthProbe } from '../cdc.health-probe.js';
import type { ResyncReason } from '../sink/change.sink.js';
import type { FailureKind } from '../source/change.source.js';
import { LAB_TABLE, RecordingSink, TrackerLab } from '../testing/index.js';
import type { ChangeTracker } from './change-tracker.js';
import type { TrackerOptions } from './tracker.options.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** A tracker that has read three rows and follows. */
async function following(options: Partial<TrackerOptions> = {}) {
  const lab = new TrackerLab();
  lab.write(1, 2, 3);
  const registry = lab.registry();
  registry.begin((one) => one.start());
  const tracker = lab.track(options, registry);
  await lab.caughtUp(tracker);
  return { lab, registry, tracker };
}

async function resynced(lab: TrackerLab, tracker: ChangeTracker, reason: ResyncReason): Promise<void> {
  await lab.clock.until(() => tracker.snapshot().counts.resyncs[reason] !== undefined);
  await lab.caughtUp(tracker);
}

/** What the sink was told of the feed, without the numbers. */
const told = ({ sink }: TrackerLab) =>
  sink.events.map((event) => ('reason' in event ? `${event.kind} ${event.reason}` : event.kind));

/** Whatever the source throws from now on calls for this. */
function failWith(lab: TrackerLab, error: Error, kind: FailureKind): void {
  lab.source.state = () => Promise.reject(error);
  lab.source.failureOf = () => kind;
}

describe('what can go wrong between a database and its reader', () => {
  it('A1: reads the table whole where there is no checkpoint, and says so', async () => {
    const { lab, tracker } = await following();

    expect(told(lab).slice(0, 3)).toEqual(['started', 'resyncStarted firstStart', 'resyncCompleted firstStart']);
    expect(lab.sink.changes.map(({ operation }) => operation)).toEqual(['snapshot', 'snapshot', 'snapshot']);
    await tracker.stop();
  });

  it('A2: tells at once of a database that tracks nothing, looks again each minute, and goes on by itself', async () => {
    const { lab, tracker, registry } = await following();
    const state = lab.source.state.bind(lab.source);
    failWith(lab, new TableNotTrackedError(LAB_TABLE, 'db'), 'configuration');
    await lab.clock.until(() => tracker.state.kind === 'failing');
    const before = tracker.snapshot().counts.errors;

    expect(tracker.snapshot().failure).toBe('configuration');
    expect(new CdcHealthProbe(registry).check().status).toBe('degraded');
    await lab.clock.advance(10 * MINUTE_MS);
    expect(tracker.snapshot().counts.errors - before).toBeLessThanOrEqual(20);

    lab.source.state = state;
    lab.write(4);
    await lab.caughtUp(tracker);
    expect(tracker.snapshot().failure).toBeNull();
    expect(new CdcHealthProbe(registry).check().status).toBe('up');
    await tracker.stop();
  });

  it('A2: goes on at once when somebody who has mended it asks for a poll, or for a resync, and not by the hints of writers', async () => {
    const { lab, tracker, registry } = await following();
    const state = lab.source.state.bind(lab.source);
    const attemptAt = async (ask: () => void): Promise<boolean> => {
      failWith(lab, new TableNotTrackedError(LAB_TABLE, 'db'), 'configuration');
      await lab.clock.until(() => tracker.snapshot().failure === 'configuration');
      lab.source.state = state;
      ask();
      await lab.clock.advance(1_000);
      const goesOn = tracker.snapshot().failure === null;
      await lab.caughtUp(tracker);
      return goesOn;
    };

    expect(await attemptAt(() => registry.pollNow(LAB_TABLE))).toBe(true);
    let resync = Promise.resolve();
    expect(await attemptAt(() => void (resync = tracker.resync()))).toBe(true);
    await resync;
    expect(await attemptAt(() => lab.pollSignal.nudge([LAB_TABLE]))).toBe(false);
    await tracker.stop();
  });

  it('asks a server that wants to be left alone not sooner for being polled', async () => {
    const { lab, tracker } = await following();
    const state = lab.source.state.bind(lab.source);
    failWith(lab, new Error('busy'), 'overload');
    await lab.clock.until(() => tracker.state.kind === 'failing');
    lab.source.state = state;
    tracker.pollNow();
    await lab.clock.advance(1_000);
    expect(tracker.state.kind).toBe('failing');
    await lab.caughtUp(tracker);
    await tracker.stop();
  });

  it('A3: has a table that no look finds described, and says what the source says of it', async () => {
    const { lab, tracker } = await following();
    lab.source.track(LAB_TABLE, false);
    lab.source.describe = () => Promise.reject(new TableNotFoundError(LAB_TABLE, 'db'));
    await lab.clock.until(() => tracker.state.kind === 'failing');

    expect(tracker.snapshot().lastError).toBe(TableNotFoundError.name);
    await tracker.stop();
  });

  it('A4: reads the table anew when clean-up overtook the position', async () => {
    const { lab, tracker } = await following();
    await tracker.stop();
    lab.write(4);
    lab.source.cleanUp(lab.source.version, LAB_TABLE);
    tracker.start();
    await resynced(lab, tracker, 'checkpointExpired');

    expect(told(lab)).toContain('resyncStarted checkpointExpired');
    expect(lab.sink.events).toContainEqual({
      kind: 'resyncStarted',
      reason: 'checkpointExpired',
      fromVersion: 2n,
      lost: { position: 1n, minValidVersion: 2n },
    });
    await tracker.stop();
  });

  it.each([
    ['whenNeeded', 'warn', /read anew \(checkpointExpired\): the position is 1, and changes are kept from 2 on/],
    [
      'never',
      'error',
      /lost to this consumer.*\(checkpointExpired\): the position is 1, and changes are kept from 2 on/,
    ],
  ] as const)('A4: says both numbers in the log, where bootstrap is %s at level %s', async (bootstrap, level, said) => {
    const lines: string[] = [];
    const note = (as: string) => (message: string) => void lines.push(`${as}: ${message}`);
    Logger.overrideLogger({ log: note('log'), warn: note('warn'), error: note('error') });
    try {
      const lab = new TrackerLab();
      lab.write(1, 2, 3);
      const tracker = lab.track({ bootstrap });
      tracker.start();
      await lab.caughtUp(tracker);
      await tracker.stop();
      lab.write(4);
      lab.source.cleanUp(lab.source.version, LAB_TABLE);
      tracker.start();
      await resynced(lab, tracker, 'checkpointExpired');
      await tracker.stop();
      const resyncs = lines.filter((line) => line.includes('checkpointExpired'));
      expect(resyncs).toEqual([expect.stringMatching(said)]);
      expect(resyncs[0]).toMatch(new RegExp(`^${level}: `));
    } finally {
      Logger.overrideLogger(false);
    }
  });

  it('A5: notices a truncate of a table that it had read to its end', async () => {
    const { lab, tracker } = await following();
    lab.writeElsewhere();
    await lab.caughtUp(tracker);
    lab.source.truncate(LAB_TABLE);
    await resynced(lab, tracker, 'tableTruncated');

    expect(told(lab)).toContain('resyncCompleted tableTruncated');
    await tracker.stop();
  });

  it('A6: begins a new epoch when the counter went back, and reads all tables of the database anew', async () => {
    const { lab, tracker, registry } = await following();
    const other = lab.track({ consumer: 'other', table: 'dbo.other' }, registry);
    await lab.clock.until(() => other.state.kind === 'streaming');
    const backup = lab.source.backUp();
    lab.write(4);
    lab.write(5);
    await lab.caughtUp(tracker);
    await lab.caughtUp(other);
    lab.source.restore(backup, { newEpoch: false });
    const counted = () => [tracker, other].map((one) => Object.keys(one.snapshot().counts.resyncs));
    await lab.clock.until(() => counted().every((reasons) => reasons.length === 2));

    expect(lab.source.epoch).toBe(2n);
    // Who saw it in one look with the other raises nothing anew: the epoch is the one that the first of them made.
    for (const reasons of counted()) {
      expect(reasons).toContain('firstStart');
      expect(reasons.some((reason) => reason === 'sourceRolledBack' || reason === 'epochChanged')).toBe(true);
    }
    await tracker.stop();
    await other.stop();
  });

  it('A6: takes no look from before it lost its lease for a database that was set back', async () => {
    const lab = new TrackerLab();
    lab.write(1, 2, 3);
    const registry = lab.registry();
    const pace = { minIntervalMs: 500, maxIntervalMs: 500 };
    const tracker = lab.track({ ...pace, heartbeatIntervalMs: 5_000 }, registry);
    const beside = lab.track({ ...pace, table: 'dbo.other', sink: new RecordingSink() }, registry);
    const announce = lab.sink.announce.bind(lab.sink);
    let toldAtMs = 0;
    lab.sink.announce = async (event, handOff) => {
      await announce(event, handOff);
      toldAtMs = lab.clock.monotonic();
    };
    tracker.start();
    await lab.caughtUp(tracker);
    const held = lab.leadership.held[0];
    beside.start();
    await lab.clock.until(() => beside.state.kind === 'streaming');
    let lost = 0;
    // It has just been told of a look by which it has a heartbeat to send, and not begun with it.
    beside.observePolls(() => {
      if (lost === 0 && lab.clock.monotonic() - toldAtMs >= 4_500) {
        lost += 1;
        lab.leadership.revoke(held);
      }
    });
    await lab.clock.until(() => lost === 1);
    const next = lab.track(pace);
    next.start();
    await lab.clock.until(() => next.state.kind === 'streaming');
    lab.write(4);
    await lab.caughtUp(next);
    await next.stop();
    await lab.caughtUp(tracker);

    expect(tracker.snapshot().counts.resyncs).toEqual({ firstStart: 1 });
    expect(lab.source.epoch).toBe(1n);
    await tracker.stop();
    await beside.stop();
  });

  it('A7: reads the table anew when a copy elsewhere knows of another epoch, though the counter has grown past the position', async () => {
    const { lab, tracker } = await following();
    const backup = lab.source.backUp();
    lab.write(4);
    await lab.caughtUp(tracker);
    lab.source.restore(backup, { newEpoch: true });
    lab.write(5);
    lab.write(6);
    await resynced(lab, tracker, 'epochChanged');

    expect(tracker.snapshot().epoch).toBe(2n);
    await tracker.stop();
  });

  it('A8: reads a table that was dropped and created again', async () => {
    const { lab, tracker } = await following();
    lab.source.recreate(LAB_TABLE);
    await resynced(lab, tracker, 'tableReplaced');
    await tracker.stop();
  });

  it('A9: reads the table anew when its columns changed: the values of old rows were never told', async () => {
    const { lab, tracker } = await following();
    lab.source.addColumn(LAB_TABLE, 'colour');
    await resynced(lab, tracker, 'schemaChanged');
    await tracker.stop();
  });

  it('A9: at the next poll where the source tells when a definition is another one, and is asked for it seldom else', async () => {
    let definition = '1';
    const telling = (lab: TrackerLab): (() => number) => {
      const [state, describeTable] = [lab.source.state.bind(lab.source), lab.source.describe.bind(lab.source)];
      let described = 0;
      lab.source.state = async (tables) => {
        const seen = await state(tables);
        return { ...seen, tables: new Map([...seen.tables].map(([name, it]) => [name, it && { ...it, definition }])) };
      };
      lab.source.describe = (table) => {
        described += 1;
        return describeTable(table);
      };
      return () => described;
    };
    const lab = new TrackerLab();
    const described = telling(lab);
    const tracker = lab.track({ minIntervalMs: 1_000, maxIntervalMs: 1_000, heartbeatIntervalMs: 60_000 });
    tracker.start();
    await lab.caughtUp(tracker);
    const atFirst = described();
    await lab.clock.advance(590_000);
    expect(described()).toBe(atFirst);
    await lab.clock.advance(20_000);
    expect(described()).toBe(atFirst + 1);

    lab.source.addColumn(LAB_TABLE, 'colour');
    definition = '2';
    await lab.clock.advance(2_000);
    expect(tracker.snapshot().counts.resyncs).toMatchObject({ schemaChanged: 1 });
    await tracker.stop();
  });

  it('A10: reads a transaction of any size page by page, and tells how deep it is in it', async () => {
    const { lab, tracker } = await following({ pageSize: 10 });
    let deepest = 0;
    lab.sink.hold(async () => {
      deepest = Math.max(deepest, tracker.snapshot().tieDepth);
    });
    lab.write(...Array.from({ length: 95 }, (_, id) => id));
    await lab.caughtUp(tracker);

    expect(deepest).toBe(90);
    expect(new Set(lab.sink.changes.slice(3).map(({ primaryKey }) => primaryKey['id'])).size).toBe(95);
    await tracker.stop();
  });

  it('A11: never moves past a page that repeats a key or the place of its cursor', async () => {
    const { lab, tracker } = await following();
    const readPage = lab.source.readPage.bind(lab.source);
    lab.source.readPage = async (request) => {
      const page = await readPage(request);
      const twice = <T>(list: readonly T[]): readonly T[] => [...list, ...list];
      return { ...page, changes: twice(page.changes), cursors: twice(page.cursors) };
    };
    lab.write(4);
    await lab.clock.until(() => tracker.state.kind === 'failing');

    expect(tracker.snapshot().lastError).toBe(PortContractError.name);
    expect(tracker.snapshot().version).toBe(1n);
    lab.source.readPage = readPage;
    await lab.caughtUp(tracker);
    expect(lab.sink.changes.at(-1)?.primaryKey).toEqual({ id: 4 });
    await tracker.stop();
  });

  it('A12: moves on without rows when only other tables changed', async () => {
    const { lab, tracker } = await following();
    lab.writeElsewhere();
    lab.writeElsewhere();
    await lab.caughtUp(tracker);

    expect(tracker.snapshot().version).toBe(3n);
    expect(lab.sink.changes.length).toBe(3);
    await tracker.stop();
  });

  it('A13: tells of a reader that comes near the end of what is kept', async () => {
    const { lab, tracker, registry } = await following();
    const state = lab.source.state.bind(lab.source);
    lab.source.state = async (tables) => ({ ...(await state(tables)), retentionMs: DAY_MS });
    lab.write(4);
    await lab.caughtUp(tracker);
    lab.source.readPage = () => Promise.reject(new Error('down'));
    lab.write(5);
    await lab.clock.advance(DAY_MS * 0.6);

    expect(tracker.snapshot().retentionUsed).toBeGreaterThan(0.5);
    expect(new CdcHealthProbe(registry).check().status).toBe('degraded');
    await tracker.stop();
  });

  it('A14: waits long for what the source calls a matter of configuration, a secondary say', async () => {
    const { lab, tracker } = await following();
    failWith(lab, new Error('secondary'), 'configuration');
    await lab.clock.until(() => tracker.state.kind === 'failing');

    expect(tracker.state).toMatchObject({ kind: 'failing' });
    expect(tracker.state.kind === 'failing' ? tracker.state.retryInMs : 0).toBeGreaterThanOrEqual(MINUTE_MS / 2);
    await tracker.stop();
  });

  it('A15: passes a change that can never be accepted, after it was told of', async () => {
    const poisoned: unknown[] = [];
    const { lab, tracker } = await following({ onPoison: (change) => void poisoned.push(change.primaryKey['id']) });
    lab.sink.poison((change) => (change.primaryKey['id'] === 5 ? new Error('never') : undefined));
    lab.write(4, 5, 6);
    await lab.caughtUp(tracker);

    expect(poisoned).toEqual([5]);
    expect(tracker.snapshot().counts.poison).toBe(1);
    await tracker.stop();
  });

  it('takes what nobody knows for passing trouble twice, and from the third time in a row on for something that somebody must change', async () => {
    const { lab, tracker, registry } = await following();
    const readPage = lab.source.readPage.bind(lab.source);
    const refused = new Error('refused, and nobody knows why');
    const kinds: (FailureKind | null)[] = [];
    const failing = (...failures: readonly (Error | FailureKind)[]) => {
      const rest = [...failures];
      lab.source.failureOf = (error) => (error instanceof Error && error !== refused ? 'contention' : 'unrecognised');
      lab.source.readPage = (request) => {
        kinds.push(tracker.snapshot().failure);
        const next = rest.shift();
        return next instanceof Error ? Promise.reject(next) : readPage(request);
      };
    };
    const atMs = lab.clock.monotonic();
    failing(refused, refused, new Error('deadlock'), refused, refused);
    lab.write(4);
    await lab.caughtUp(tracker);
    expect(kinds).toEqual([null, 'unrecognised', 'unrecognised', 'contention', 'unrecognised', 'unrecognised']);
    expect(lab.clock.monotonic() - atMs).toBeLessThan(MINUTE_MS);

    kinds.length = 0;
    failing(refused, refused, refused, refused);
    lab.write(5);
    await lab.clock.until(() => tracker.snapshot().failure === 'configuration');
    expect(tracker.snapshot().consecutiveErrors).toBe(3);
    expect(tracker.state.kind === 'failing' ? tracker.state.retryInMs : 0).toBeGreaterThanOrEqual(MINUTE_MS / 2);
    expect(new CdcHealthProbe(registry).check().status).toBe('degraded');
    expect(tracker.errors).toContainEqual({ error: 'Error', class: 'configuration', number: null, count: 1 });

    await lab.caughtUp(tracker);
    expect(kinds).toEqual([null, 'unrecognised', 'unrecognised', 'configuration', 'configuration']);
    expect(tracker.snapshot().failure).toBeNull();
    await tracker.stop();
  });

  it('asks for half as much after a request that took too long, and loses nothing by it', async () => {
    const { lab, tracker } = await following({ pageSize: 400 });
    const readPage = lab.source.readPage.bind(lab.source);
    const asked: number[] = [];
    lab.source.failureOf = () => 'timeout';
    lab.source.readPage = (request) => {
      asked.push(request.limit);
      return request.limit > 100 ? Promise.reject(new Error('took too long')) : readPage(request);
    };
    lab.write(...Array.from({ length: 300 }, (_, id) => id));
    await lab.caughtUp(tracker);

    expect(asked.slice(0, 4)).toEqual([400, 200, 100, 100]);
    expect(new Set(lab.sink.changes.slice(3).map(({ primaryKey }) => primaryKey['id'])).size).toBe(300);
    await tracker.stop();
  });
});
