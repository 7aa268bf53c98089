import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SaveOutcome } from '../checkpoint/checkpoint.store.js';
import { LAB_TABLE, RecordingSink, TrackerLab } from '../testing/index.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

const ids = (lab: TrackerLab, operation: string) =>
  lab.sink.changes.filter((change) => change.operation === operation).map(({ primaryKey }) => primaryKey['id']);

describe('ChangeTracker: bootstrap', () => {
  it('offers the whole table in chunks at the first start, stamped with the version read before, then what changed meanwhile', async () => {
    const lab = new TrackerLab();
    lab.write(1, 2, 3, 4, 5);
    lab.write(2);
    const tracker = lab.track({ chunkSize: 2 });
    let chunks = 0;
    const readChunk = lab.source.readChunk.bind(lab.source);
    lab.source.readChunk = (request) => {
      chunks += 1;
      if (chunks === 2) {
        lab.write(9, 1);
        lab.remove(5);
      }
      return readChunk(request);
    };
    tracker.start();
    await lab.caughtUp(tracker);

    expect(lab.sink.recorded.map((entry) => (entry.kind === 'event' ? entry.event : entry.changes.length))).toEqual([
      { kind: 'started', version: null },
      { kind: 'resyncStarted', reason: 'firstStart', fromVersion: 2n },
      2,
      2,
      1,
      3,
      { kind: 'resyncCompleted', reason: 'firstStart', version: 4n },
    ]);
    expect(ids(lab, 'snapshot')).toEqual([1, 2, 3, 4, 9]);
    expect(
      lab.sink.changes
        .filter(({ operation }) => operation === 'snapshot')
        .every(({ version }) => version.version === 2n),
    ).toBe(true);
    expect([ids(lab, 'upsert'), ids(lab, 'delete')]).toEqual([[1, 9], [5]]);
    await tracker.stop();
  });

  it('goes on after the last chunk that was checkpointed when the process died during the scan', async () => {
    const lab = new TrackerLab();
    lab.write(1, 2, 3, 4, 5);
    const first = lab.track({ chunkSize: 2 });
    lab.sink.hold(async () => {
      if (lab.sink.changes.length === 4) {
        await new Promise(() => {});
      }
    });
    first.start();
    await lab.clock.until(() => lab.sink.changes.length === 4);
    await lab.clock.advance(1);
    await first.stop(AbortSignal.abort());
    lab.sink.hold(async () => {});
    const second = lab.track({ chunkSize: 2 });
    second.start();
    await lab.caughtUp(second);

    expect(ids(lab, 'snapshot')).toEqual([1, 2, 3, 4, 5]);
    expect(lab.sink.events.map(({ kind }) => kind)).toEqual(['started', 'resyncStarted', 'started', 'resyncCompleted']);
    await second.stop();
  });

  it('says how many rows of the table it has offered so far, from the start at a resync and from where it took over', async () => {
    const lab = new TrackerLab();
    lab.write(1, 2, 3, 4, 5);
    const seen: number[] = [];
    const note = (tracker: ReturnType<TrackerLab['track']>): void =>
      lab.sink.hold(async () => {
        const { state } = tracker;
        if (state.kind === 'bootstrapping') {
          seen.push(state.rows);
        }
      });
    const tracker = lab.track({ chunkSize: 2 });
    note(tracker);
    tracker.start();
    await lab.caughtUp(tracker);
    const again = tracker.resync();
    await lab.clock.until(() => tracker.snapshot().counts.resyncs.requested === 1);
    await lab.caughtUp(tracker);
    await again;

    // At the announcement that it begins, after each chunk, and at the one that it is complete.
    expect(seen).toEqual([0, 0, 2, 4, 5, 0, 0, 2, 4, 5]);
    await tracker.stop();
  });

  it.each(['whenNeeded', 'never'] as const)(
    'has its fence in the store before it announces a resync, so that whom readers ignore from then on can save no more: %s',
    async (bootstrap) => {
      const lab = new TrackerLab();
      lab.write(1, 2);
      const tracker = lab.track({ bootstrap });
      const announce = lab.sink.announce.bind(lab.sink);
      const older: SaveOutcome[] = [];
      lab.sink.announce = async (event, handOff) => {
        const stored = await lab.checkpoints.load({ consumer: 'lab', source: 'db', table: LAB_TABLE });
        if (event.kind === 'resyncStarted' && stored !== undefined) {
          older.push(await lab.checkpoints.save(stored, handOff.fence - 1n));
        }
        await announce(event, handOff);
      };
      tracker.start();
      await lab.caughtUp(tracker);
      lab.leadership.revoke();
      lab.source.truncate(LAB_TABLE);
      await lab.clock.until(() => tracker.snapshot().counts.resyncs.tableTruncated === 1);
      await lab.caughtUp(tracker);

      expect(older).toEqual(bootstrap === 'never' ? ['fenced'] : ['fenced', 'fenced']);
      await tracker.stop();
    },
  );

  it('has its fence in the store before it announces a resync that another holder began', async () => {
    const lab = new TrackerLab();
    lab.write(1, 2);
    lab.sink.hold(() => (lab.sink.events.length === 1 ? new Promise(() => {}) : Promise.resolve()));
    const first = lab.track();
    first.start();
    await lab.clock.advance(1_000);
    await first.stop(AbortSignal.abort());
    lab.sink.hold(async () => {});
    const announce = lab.sink.announce.bind(lab.sink);
    const older: SaveOutcome[] = [];
    lab.sink.announce = async (event, handOff) => {
      const stored = await lab.checkpoints.load({ consumer: 'lab', source: 'db', table: LAB_TABLE });
      if (event.kind === 'resyncStarted' && stored !== undefined) {
        older.push(await lab.checkpoints.save(stored, handOff.fence - 1n));
      }
      await announce(event, handOff);
    };
    const second = lab.track({}, lab.registry());
    second.start();
    await lab.caughtUp(second);

    expect(older).toEqual(['fenced']);
    await second.stop();
  });

  it('announces a resync again when its holder died between the save and the announcement, or before the first rows were saved', async () => {
    const lab = new TrackerLab();
    lab.write(1, 2);
    const first = lab.track();
    lab.sink.hold(() => (lab.sink.events.length === 1 ? new Promise(() => {}) : Promise.resolve()));
    first.start();
    await lab.clock.advance(1_000);
    await first.stop(AbortSignal.abort());
    expect(lab.sink.events.map(({ kind }) => kind)).toEqual(['started']);

    lab.sink.hold(async () => {});
    const second = lab.track({}, lab.registry());
    second.start();
    await lab.caughtUp(second);

    expect(lab.sink.events.map(({ kind }) => kind)).toEqual(['started', 'started', 'resyncStarted', 'resyncCompleted']);
    await second.stop();
  });

  it('announces completion again when the process died between the scan and the end of catching up', async () => {
    const lab = new TrackerLab();
    lab.write(1, 2);
    const first = lab.track({ chunkSize: 2 });
    lab.sink.hold(async () => {
      if (lab.sink.changes.length === 2) {
        await new Promise(() => {});
      }
    });
    first.start();
    await lab.clock.until(() => lab.sink.changes.length === 2);
    await lab.clock.advance(1);
    await first.stop(AbortSignal.abort());
    lab.sink.hold(async () => {});
    const second = lab.track({ chunkSize: 2 });
    second.start();
    await lab.caughtUp(second);

    expect(lab.sink.events.at(-1)).toEqual({ kind: 'resyncCompleted', reason: 'firstStart', version: 1n });
    await second.stop();
  });

  it('begins anew when clean-up overtakes the scan', async () => {
    const lab = new TrackerLab();
    lab.write(1, 2, 3, 4);
    const tracker = lab.track({ chunkSize: 1 });
    lab.sink.hold(async () => {
      if (lab.sink.changes.length === 2 && lab.source.version === 1n) {
        lab.write(5);
        lab.source.cleanUp(2n);
      }
    });
    tracker.start();
    await lab.caughtUp(tracker);

    expect(lab.sink.events.filter(({ kind }) => kind.startsWith('resync'))).toEqual([
      { kind: 'resyncStarted', reason: 'firstStart', fromVersion: 1n },
      {
        kind: 'resyncStarted',
        reason: 'checkpointExpired',
        fromVersion: 2n,
        lost: { position: 1n, minValidVersion: 2n },
      },
      { kind: 'resyncCompleted', reason: 'checkpointExpired', version: 2n },
    ]);
    expect(ids(lab, 'snapshot').slice(-5)).toEqual([1, 2, 3, 4, 5]);
    await tracker.stop();
  });

  it('reads the table anew for a sink that has lost what it accepted', async () => {
    const lab = new TrackerLab();
    lab.write(1);
    const first = lab.track();
    first.start();
    await lab.caughtUp(first);
    await first.stop();
    const sink = new RecordingSink('another');
    const second = lab.track({ sink });
    second.start();
    await lab.caughtUp(second);

    expect(sink.events).toContainEqual({
      kind: 'resyncStarted',
      reason: 'newSinkInstance',
      fromVersion: 1n,
      lost: { position: 1n, minValidVersion: 0n },
    });
    expect(sink.changes).toMatchObject([{ operation: 'snapshot' }]);
    await second.stop();
  });

  it.each([
    ['checkpointExpired', (lab: TrackerLab) => (lab.write(8), lab.source.cleanUp(lab.source.version))],
    ['tableTruncated', (lab: TrackerLab) => lab.source.truncate('dbo.stock')],
    ['tableReplaced', (lab: TrackerLab) => lab.source.recreate('dbo.stock')],
    ['schemaChanged', (lab: TrackerLab) => lab.source.addColumn('dbo.stock', 'colour')],
    ['epochChanged', (lab: TrackerLab) => lab.source.restore(lab.source.backUp(), { newEpoch: true })],
  ] as const)('resyncs by %s while it runs', async (reason, befall) => {
    const lab = new TrackerLab();
    lab.write(1, 2);
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    befall(lab);
    await lab.clock.until(
      () => lab.sink.events.some((event) => event.kind === 'resyncCompleted' && event.reason === reason),
      600_000,
    );
    await lab.caughtUp(tracker);

    expect(tracker.snapshot().counts.resyncs).toEqual({ firstStart: 1, [reason]: 1 });
    await tracker.stop();
  });

  it('raises the epoch before it reads anew when the counter went back, so that new stamps are above old ones', async () => {
    const lab = new TrackerLab();
    lab.write(1);
    const backup = lab.source.backUp();
    const tracker = lab.track();
    tracker.start();
    lab.write(1);
    lab.write(2);
    await lab.caughtUp(tracker);
    lab.source.restore(backup, { newEpoch: false });
    await lab.clock.until(() => lab.sink.events.filter(({ kind }) => kind === 'resyncCompleted').length === 2);

    expect(lab.sink.events).toContainEqual({
      kind: 'resyncStarted',
      reason: 'sourceRolledBack',
      fromVersion: 1n,
      lost: { position: 3n, minValidVersion: 0n },
    });
    expect(lab.sink.changes.at(-1)).toMatchObject({ operation: 'snapshot', version: { epoch: 2n, version: 1n } });
    await tracker.stop();
  });

  it('catches up in several pages, and is complete only at the version of the scan’s end', async () => {
    const lab = new TrackerLab();
    lab.write(1, 2);
    const tracker = lab.track({ pageSize: 2, chunkSize: 5 });
    lab.sink.hold(async () => {
      if (lab.sink.events.length === 2 && lab.source.version === 1n) {
        lab.write(11, 12, 13, 14, 15, 16, 17);
      }
    });
    tracker.start();
    await lab.caughtUp(tracker);

    expect(ids(lab, 'upsert')).toEqual([11, 12, 13, 14, 15, 16, 17]);
    expect(lab.sink.recorded.at(-1)).toMatchObject({ event: { kind: 'resyncCompleted', version: 2n } });
    await tracker.stop();
  });
});

describe('ChangeTracker: bootstrap modes', () => {
  const expire = (lab: TrackerLab) => {
    lab.write(7);
    lab.source.cleanUp(lab.source.version);
  };

  it('never: begins at the current version, and announces a lost position without rows', async () => {
    const lab = new TrackerLab();
    lab.write(1);
    const tracker = lab.track({ bootstrap: 'never' });
    tracker.start();
    await lab.caughtUp(tracker);
    expect(lab.sink.recorded).toMatchObject([{ event: { kind: 'started', version: null } }]);

    expire(lab);
    await lab.caughtUp(tracker);

    expect(lab.sink.changes).toEqual([]);
    expect(lab.sink.events.slice(1)).toEqual([
      {
        kind: 'resyncStarted',
        reason: 'checkpointExpired',
        fromVersion: 2n,
        lost: { position: 1n, minValidVersion: 2n },
      },
      { kind: 'resyncCompleted', reason: 'checkpointExpired', version: 2n },
    ]);
    await tracker.stop();
  });

  it('initial: fails visibly when the position is lost, until a resync is asked for', async () => {
    const lab = new TrackerLab();
    lab.write(1);
    const tracker = lab.track({ bootstrap: 'initial' });
    tracker.start();
    await lab.caughtUp(tracker);
    expect(ids(lab, 'snapshot')).toEqual([1]);
    expire(lab);
    await lab.clock.until(() => tracker.state.kind === 'failing');
    await lab.clock.advance(600_000);
    expect(tracker.state).toMatchObject({
      error: { code: 'SMARTPULSE_CDC_RESYNC_REQUIRED', reason: 'checkpointExpired' },
    });

    const done = tracker.resync();
    await lab.caughtUp(tracker);
    await done;

    expect(ids(lab, 'snapshot')).toEqual([1, 1, 7]);
    await tracker.stop();
  });

  it('always: reads the table at a start whose first lease was lost before anything was saved', async () => {
    const lab = new TrackerLab();
    lab.write(1);
    const tracker = lab.track({ bootstrap: 'always' });
    tracker.start();
    await lab.caughtUp(tracker);
    await tracker.stop();
    const acquire = lab.leadership.acquire.bind(lab.leadership);
    const look = lab.source.state.bind(lab.source);
    const lost = new AbortController();
    lab.leadership.acquire = async (resource) => {
      lab.leadership.acquire = acquire;
      const lease = await acquire(resource);
      return (
        lease && {
          resource: lease.resource,
          fence: lease.fence,
          signal: lost.signal,
          release: () => lease.release(),
        }
      );
    };
    lab.source.state = async () => {
      lab.source.state = look;
      lost.abort(new Error('the lease is lost'));
      throw new Error('down');
    };
    tracker.start();
    await lab.clock.until(() => lost.signal.aborted);
    await lab.caughtUp(tracker);

    expect(ids(lab, 'snapshot')).toEqual([1, 1]);
    await tracker.stop();
  });

  it('always: reads the table at every start, but not again after an error', async () => {
    const lab = new TrackerLab();
    lab.write(1);
    const tracker = lab.track({ bootstrap: 'always' });
    tracker.start();
    await lab.caughtUp(tracker);
    lab.write(2);
    lab.sink.failNext(new Error('no'));
    await lab.caughtUp(tracker);
    expect(ids(lab, 'snapshot')).toEqual([1]);

    await tracker.stop();
    tracker.start();
    await lab.clock.until(() => ids(lab, 'snapshot').length === 3);

    expect(ids(lab, 'snapshot')).toEqual([1, 1, 2]);
    await lab.caughtUp(tracker);
    await tracker.stop();
  });
});
