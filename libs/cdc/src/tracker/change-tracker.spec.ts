import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TrackerNotLeadingError } from '../cdc.errors.js';
import { TrackerLab } from '../testing/index.js';
import { Deferred } from './deferred.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

describe('ChangeTracker: following', () => {
  it('hands off every change once nothing fails, in the order of version and key', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    lab.write(3, 1, 2);
    lab.remove(2);
    lab.write(9);
    await lab.caughtUp(tracker);

    expect(
      lab.sink.changes.map(({ operation, primaryKey, version }) => [operation, primaryKey['id'], version.version]),
    ).toEqual([
      ['upsert', 1, 1n],
      ['upsert', 3, 1n],
      ['delete', 2, 2n],
      ['upsert', 9, 3n],
    ]);
    await tracker.stop();
    expect(lab.clock.pendingTimers).toBe(0);
    expect(lab.leadership.held).toEqual([]);
  });

  it('reads a transaction larger than a page to its end without waiting between pages', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track({ pageSize: 3 });
    tracker.start();
    await lab.caughtUp(tracker);
    const ids = Array.from({ length: 20 }, (_, id) => id);
    lab.write(...ids);
    lab.write(100);
    lab.pollSignal.nudge(['dbo.stock']);
    await lab.clock.advance(1);

    expect(lab.sink.changes.map(({ primaryKey }) => primaryKey['id'])).toEqual([...ids, 100]);
    expect(tracker.state).toEqual({ kind: 'streaming', version: 2n });
    await tracker.stop();
  });

  it('saves the checkpoint only after the sink has accepted', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track({ bootstrap: 'never' });
    tracker.start();
    await lab.caughtUp(tracker);
    const open = new Deferred();
    lab.sink.hold(() => open.promise);
    lab.write(1);
    await lab.clock.advance(60_000);
    expect(tracker.snapshot().version).toBe(0n);

    open.resolve();
    await lab.clock.settle();

    expect(tracker.snapshot().version).toBe(1n);
    await tracker.stop();
  });

  it('keeps the position of a quiet table at the version of the database', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    for (let commit = 0; commit < 5; commit++) {
      lab.writeElsewhere();
    }
    await lab.caughtUp(tracker);
    lab.source.cleanUp(5n);
    lab.write(1);
    await lab.caughtUp(tracker);

    expect(tracker.snapshot().counts.resyncs).toEqual({ firstStart: 1 });
    expect(lab.sink.changes.map(({ operation }) => operation)).toEqual(['upsert']);
    await tracker.stop();
  });

  it('tells a quiet sink how far it is complete, once per heartbeat interval', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track({ heartbeatIntervalMs: 10_000 });
    tracker.start();
    await lab.caughtUp(tracker);
    lab.write(1);
    await lab.caughtUp(tracker);
    await lab.clock.advance(35_000);

    const heartbeats = lab.sink.events.filter(({ kind }) => kind === 'heartbeat');
    expect(heartbeats).toEqual(Array.from({ length: 3 }, () => ({ kind: 'heartbeat', version: 1n })));
    await tracker.stop();
  });
});

describe('ChangeTracker: nudges', () => {
  it('polls at once when nudged, long before its next poll', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.clock.advance(600_000);
    lab.write(1);
    lab.pollSignal.nudge(['dbo.stock']);
    await lab.clock.advance(1);

    expect(lab.sink.changes).toHaveLength(1);
    await tracker.stop();
  });

  it('lets another poll follow when the nudge came during a poll, and only one for many', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.clock.advance(600_000);
    const open = new Deferred();
    lab.sink.hold(() => open.promise);
    lab.write(1);
    tracker.pollNow();
    await lab.clock.advance(1);
    const idleBefore = tracker.snapshot().counts.idlePolls;
    // The running poll has read its page already.
    lab.write(2);
    tracker.pollNow();
    tracker.pollNow();
    tracker.pollNow();
    open.resolve();
    await lab.clock.advance(1);

    expect(lab.sink.changes.map(({ primaryKey }) => primaryKey['id'])).toEqual([1, 2]);
    expect(tracker.snapshot().counts.idlePolls).toBe(idleBefore);
    await tracker.stop();
  });

  it('ends its subscription when it stops', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    await tracker.stop();
    const { nudges } = tracker.snapshot().counts;
    lab.pollSignal.nudge(['dbo.stock']);

    expect(tracker.snapshot().counts.nudges).toBe(nudges);
  });
});

describe('ChangeTracker: errors', () => {
  it('offers the same page again until it is accepted, with growing waits that stand in its state', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    lab.write(1, 2);
    lab.sink.failNext(...Array.from({ length: 12 }, () => new Error('no')));
    tracker.pollNow();
    const waits: number[] = [];
    await lab.clock.until(() => {
      const { state } = tracker;
      if (state.kind === 'failing' && state.attempts > waits.length) {
        waits.push(state.retryInMs);
      }
      return lab.sink.changes.length > 0;
    });

    expect(waits).toHaveLength(12);
    expect(waits[0]).toBeLessThanOrEqual(100);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(15_000);
    expect(waits.at(-1)).toBeLessThanOrEqual(30_000);
    expect(lab.sink.changes).toHaveLength(2);
    await lab.caughtUp(tracker);
    expect(tracker.snapshot()).toMatchObject({ consecutiveErrors: 0, lastError: 'Error', phase: 'streaming' });
    await tracker.stop();
  });

  it('asks the store where it is after a save whose answer was lost, and offers nothing twice', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    const save = lab.checkpoints.save.bind(lab.checkpoints);
    lab.checkpoints.save = async (checkpoint, fence) => {
      lab.checkpoints.save = save;
      await save(checkpoint, fence);
      throw new Error('The answer was lost.');
    };
    lab.write(1, 2);
    await lab.caughtUp(tracker);

    expect(tracker.snapshot().counts.errors).toBe(1);
    expect(lab.sink.changes.map(({ primaryKey }) => primaryKey['id'])).toEqual([1, 2]);
    await tracker.stop();
  });

  it('polls without nudges where the signal cannot be listened to', async () => {
    const lab = new TrackerLab();
    lab.pollSignal.onNudge = () => {
      throw new Error('no connection');
    };
    const tracker = lab.track();
    tracker.start();
    lab.write(1);
    await lab.caughtUp(tracker);

    expect(lab.sink.changes).toHaveLength(1);
    await tracker.stop();
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('goes on where the source fails at telling what failed, and stops where the signal cannot be left', async () => {
    const lab = new TrackerLab();
    const rejected: unknown[] = [];
    const note = (reason: unknown): void => void rejected.push(reason);
    process.on('unhandledRejection', note);
    lab.source.failureOf = () => {
      throw new TypeError('an adapter has a fault');
    };
    lab.pollSignal.onNudge = () => () => {
      throw new Error('gone');
    };
    const state = lab.source.state.bind(lab.source);
    lab.source.state = () => Promise.reject(new Error('down'));
    const tracker = lab.track();
    tracker.start();
    await lab.clock.until(() => tracker.snapshot().consecutiveErrors >= 2);
    lab.source.state = state;
    lab.write(1);
    await lab.caughtUp(tracker);
    expect(await tracker.stop()).toBe(true);
    expect(tracker.state.kind).toBe('stopped');
    tracker.start();
    await lab.caughtUp(tracker);
    await tracker.stop();

    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(rejected).toEqual([]);
  });

  it('never ends while a table is not tracked, and goes on from a bootstrap when it is', async () => {
    const lab = new TrackerLab();
    lab.source.track('dbo.stock', false);
    lab.write(1);
    const tracker = lab.track();
    tracker.start();
    await lab.clock.advance(3_600_000);
    expect(tracker.state).toMatchObject({ kind: 'failing', error: { code: 'SMARTPULSE_CDC_TABLE_NOT_TRACKED' } });

    lab.source.track('dbo.stock', true);
    await lab.caughtUp(tracker);

    expect(lab.sink.changes).toMatchObject([{ operation: 'snapshot', primaryKey: { id: 1 } }]);
    await tracker.stop();
  });

  it('moves past poison only after it was reported, and repeats the page when reporting failed', async () => {
    const lab = new TrackerLab();
    lab.sink.poison(({ primaryKey }) => (primaryKey['id'] === 2 ? new Error('unreadable') : undefined));
    const reported: unknown[] = [];
    const tracker = lab.track({
      onPoison: async (change, error) => {
        reported.push([change.primaryKey['id'], error.message]);
        if (reported.length === 1) {
          throw new Error('the dead letters are full');
        }
      },
    });
    tracker.start();
    await lab.caughtUp(tracker);
    lab.write(1, 2, 3);
    await lab.caughtUp(tracker);

    expect(reported).toEqual([
      [2, 'unreadable'],
      [2, 'unreadable'],
    ]);
    expect(tracker.snapshot().counts).toMatchObject({ poison: 1, changes: 2, errors: 1 });
    await tracker.stop();
  });

  it('does not believe a sink that answers too few outcomes', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    lab.sink.accept = async () => [];
    tracker.start();
    await lab.caughtUp(tracker);
    lab.write(1);
    await lab.clock.until(() => tracker.state.kind === 'failing');

    expect(tracker.state).toMatchObject({ error: { code: 'SMARTPULSE_CDC_PORT_CONTRACT' } });
    expect(tracker.snapshot().version).toBe(0n);
    await tracker.stop();
  });

  it('waits for what it is to start after, and tries that again when it fails', async () => {
    const lab = new TrackerLab();
    let attempts = 0;
    const ready = new Deferred();
    const tracker = lab.track({
      startAfter: async () => {
        attempts += 1;
        if (attempts === 1) {
          throw new Error('not yet');
        }
        await ready.promise;
      },
    });
    tracker.start();
    await lab.clock.advance(10_000);
    expect(tracker.state.kind).toBe('starting');
    expect(lab.sink.recorded).toEqual([]);

    ready.resolve();
    await lab.caughtUp(tracker);

    expect(attempts).toBe(2);
    await tracker.stop();
    expect(lab.clock.pendingTimers).toBe(0);
  });
});

describe('ChangeTracker: the lease', () => {
  it('lets one of two replicas read, and the other one go on where the first stopped', async () => {
    const lab = new TrackerLab();
    const [first, second] = [lab.track(), lab.track()];
    first.start();
    await lab.caughtUp(first);
    second.start();
    await lab.clock.advance(5_000);
    expect(second.state.kind).toBe('waitingForLease');
    expect(second.snapshot()).toMatchObject({ leading: false, version: null });

    lab.write(1);
    await lab.caughtUp(first);
    await first.stop();
    lab.write(2);
    await lab.caughtUp(second);

    expect(lab.sink.changes.map(({ primaryKey }) => primaryKey['id'])).toEqual([1, 2]);
    expect(lab.sink.events.filter(({ kind }) => kind === 'started')).toEqual([
      { kind: 'started', version: null },
      { kind: 'started', version: 1n },
    ]);
    await second.stop();
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('never saves a checkpoint after the lease is lost, not even for a page that is accepted later', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track({ leaseRetry: { initialMs: 60_000, multiplier: 1, maxMs: 60_000, jitter: 'none' } });
    tracker.start();
    await lab.caughtUp(tracker);
    const open = new Deferred();
    lab.sink.hold(() => open.promise);
    lab.write(1);
    tracker.pollNow();
    await lab.clock.advance(1);
    lab.leadership.revoke();
    await lab.clock.settle();
    open.resolve();
    await lab.clock.settle();

    const stored = await lab.checkpoints.load({ consumer: 'lab', source: 'db', table: 'dbo.stock' });
    expect(stored?.phase).toEqual({ kind: 'streaming', version: 0n, cursor: null });
    expect(tracker.state.kind).toBe('waitingForLease');
    await lab.clock.advance(60_000);
    expect(tracker.snapshot().version).toBe(1n);
    await tracker.stop();
  });

  it('gives up when a newer holder has saved, and waits for the lease again', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    const stored = await lab.checkpoints.load({ consumer: 'lab', source: 'db', table: 'dbo.stock' });
    if (stored === undefined) {
      throw new Error('no checkpoint');
    }
    await lab.checkpoints.save(stored, 2n);
    lab.write(1);
    await lab.caughtUp(tracker);

    expect(tracker.snapshot().counts.fenced).toBe(1);
    expect(lab.sink.events.filter(({ kind }) => kind === 'started')).toHaveLength(2);
    await tracker.stop();
  });

  it('keeps asking when the leadership fails', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    const acquire = lab.leadership.acquire.bind(lab.leadership);
    lab.leadership.acquire = () => {
      lab.leadership.acquire = acquire;
      throw new Error('down');
    };
    tracker.start();
    await lab.clock.settle();
    expect(tracker.state).toMatchObject({ kind: 'failing', attempts: 1 });

    await lab.caughtUp(tracker);
    await tracker.stop();
  });
});

describe('ChangeTracker: stopping', () => {
  it('finishes the running page, saves its checkpoint, then gives the lease back', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    const open = new Deferred();
    lab.sink.hold(() => open.promise);
    lab.write(1);
    tracker.pollNow();
    await lab.clock.advance(1);
    const stopped = tracker.stop();
    await lab.clock.settle();
    expect(lab.leadership.held).toHaveLength(1);
    open.resolve();

    expect(await stopped).toBe(true);
    const stored = await lab.checkpoints.load({ consumer: 'lab', source: 'db', table: 'dbo.stock' });
    expect(stored?.phase).toMatchObject({ version: 1n });
    expect(lab.leadership.held).toEqual([]);
    expect(tracker.state).toEqual({ kind: 'stopped' });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('leaves a page that hangs when it may wait no longer, without a checkpoint, and says so', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    lab.sink.hold(() => new Promise(() => {}));
    lab.write(1);
    tracker.pollNow();
    await lab.clock.advance(1);
    const patience = new AbortController();
    const stopped = tracker.stop(patience.signal);
    await lab.clock.settle();
    patience.abort();

    expect(await stopped).toBe(false);
    const stored = await lab.checkpoints.load({ consumer: 'lab', source: 'db', table: 'dbo.stock' });
    expect(stored?.phase).toMatchObject({ version: 0n });
    expect(lab.leadership.held).toEqual([]);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('stops while failing, while waiting for the lease and while paused, and starts again', async () => {
    const lab = new TrackerLab();
    await lab.leadership.acquire('cdc:lab:db:dbo.stock');
    const tracker = lab.track();
    tracker.start();
    await lab.clock.advance(3_000);
    expect(tracker.state.kind).toBe('waitingForLease');
    await tracker.stop();
    expect(lab.clock.pendingTimers).toBe(0);

    lab.leadership.revoke();
    lab.sink.failNext(new Error('no'));
    tracker.start();
    await lab.clock.until(() => tracker.state.kind === 'failing');
    await tracker.stop();
    expect(lab.clock.pendingTimers).toBe(0);

    tracker.start();
    await lab.caughtUp(tracker);
    tracker.pause();
    await lab.clock.advance(1);
    expect(tracker.state.kind).toBe('paused');
    await tracker.stop();
    expect(lab.clock.pendingTimers).toBe(0);
    expect(tracker.state.kind).toBe('stopped');
  });

  it('stops also when the last page fails, says that it was left, and starts again when asked meanwhile', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    const open = new Deferred();
    lab.sink.hold(() => open.promise);
    lab.sink.failNext(new Error('no'));
    lab.write(1);
    tracker.pollNow();
    await lab.clock.advance(1);
    const stopped = tracker.stop();
    tracker.start();
    open.resolve();

    expect(await stopped).toBe(false);
    await lab.caughtUp(tracker);
    expect(lab.sink.changes).toHaveLength(1);
    await tracker.stop();
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('gives back a lease that is granted after it stopped', async () => {
    const lab = new TrackerLab();
    const granted = new Deferred();
    const acquire = lab.leadership.acquire.bind(lab.leadership);
    lab.leadership.acquire = async (resource) => {
      await granted.promise;
      return acquire(resource);
    };
    const tracker = lab.track();
    tracker.start();
    await lab.clock.settle();
    await tracker.stop();
    granted.resolve();
    await lab.clock.settle();

    expect(lab.leadership.held).toEqual([]);
  });

  it('stands still while paused, keeps its lease, and goes on when resumed', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    await lab.caughtUp(tracker);
    tracker.pause();
    await lab.clock.advance(1);
    lab.write(1);
    tracker.pollNow();
    await lab.clock.advance(120_000);
    expect(lab.sink.changes).toEqual([]);
    expect(lab.leadership.held).toHaveLength(1);

    tracker.resume();
    await lab.caughtUp(tracker);

    expect(lab.sink.changes).toHaveLength(1);
    await tracker.stop();
  });
});

describe('ChangeTracker: resync on request', () => {
  it('resolves when the whole table was offered anew and the feed is complete again', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    tracker.start();
    lab.write(1, 2);
    await lab.caughtUp(tracker);
    const before = lab.sink.recorded.length;
    const done = Promise.all([tracker.resync(), tracker.resync()]);
    await lab.clock.advance(1);
    await done;

    expect(lab.sink.recorded.slice(before)).toMatchObject([
      { event: { kind: 'resyncStarted', reason: 'requested', fromVersion: 1n } },
      { changes: [{ operation: 'snapshot' }, { operation: 'snapshot' }] },
      { event: { kind: 'resyncCompleted', reason: 'requested', version: 1n } },
    ]);
    await tracker.stop();
  });

  it('is refused where another replica reads, and when the lease is lost before the end', async () => {
    const lab = new TrackerLab();
    const tracker = lab.track();
    await expect(tracker.resync()).rejects.toThrow(TrackerNotLeadingError);

    tracker.start();
    await lab.caughtUp(tracker);
    lab.sink.hold(() => new Promise(() => {}));
    const refused = expect(tracker.resync()).rejects.toThrow(TrackerNotLeadingError);
    await lab.clock.advance(1);
    lab.leadership.revoke();
    await refused;
    await tracker.stop(AbortSignal.abort());
  });
});
