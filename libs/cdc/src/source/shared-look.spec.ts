import { describe, expect, it } from 'vitest';
import { LAB_TABLE, RecordingSink, TrackerLab } from '../testing/index.js';
import { SharedLook } from './shared-look.js';

function watched() {
  const lab = new TrackerLab();
  const looks: (readonly string[])[] = [];
  const state = lab.source.state.bind(lab.source);
  lab.source.state = (tables) => {
    looks.push([...tables].sort());
    return state(tables);
  };
  return { lab, looks };
}

describe('SharedLook', () => {
  it('answers all who ask in one instant from one look, and each later one from a look of its own', async () => {
    const { lab, looks } = watched();
    const look = new SharedLook(lab.source, lab.clock);
    const answers = await Promise.all([look.at(LAB_TABLE), look.at('dbo.other'), look.at(LAB_TABLE)]);
    await look.at(LAB_TABLE);

    expect(looks).toEqual([['dbo.other', LAB_TABLE], [LAB_TABLE]]);
    expect(answers.every(({ tables }) => tables.size === 2)).toBe(true);
  });

  it('never answers from a look that had begun: a commit before the question is seen', async () => {
    const { lab } = watched();
    const look = new SharedLook(lab.source, lab.clock);
    const state = lab.source.state.bind(lab.source);
    let second: ReturnType<typeof look.at> | undefined;
    lab.source.state = async (tables) => {
      const seen = await state(tables);
      lab.write(1);
      second ??= look.at(LAB_TABLE);
      return seen;
    };

    expect((await look.at(LAB_TABLE)).currentVersion).toBe(0n);
    expect((await second)?.currentVersion).toBe(1n);
  });

  it('fails for those who shared it, and not for the next', async () => {
    const { lab } = watched();
    const look = new SharedLook(lab.source, lab.clock);
    const state = lab.source.state.bind(lab.source);
    lab.source.state = () => Promise.reject(new Error('down'));
    const failed = await Promise.allSettled([look.at(LAB_TABLE), look.at('dbo.other')]);
    lab.source.state = state;

    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(look.at(LAB_TABLE)).resolves.toMatchObject({ currentVersion: 0n });
  });

  it('is one look for all trackers of a registry that are woken together', async () => {
    const { lab, looks } = watched();
    const registry = lab.registry();
    const trackers = ['a', 'b', 'c', 'd'].map((consumer, index) =>
      lab.track(
        { consumer, table: index % 2 === 0 ? LAB_TABLE : 'dbo.other', heartbeatIntervalMs: 86_400_000 },
        registry,
      ),
    );
    trackers.forEach((tracker) => tracker.start());
    await Promise.all(trackers.map((tracker) => lab.caughtUp(tracker)));
    await lab.clock.advance(600_000);
    looks.length = 0;
    lab.pollSignal.nudge([LAB_TABLE, 'dbo.other']);
    await lab.clock.settle();

    expect(looks).toEqual([['dbo.other', LAB_TABLE]]);
    await Promise.all(trackers.map((tracker) => tracker.stop()));
  });

  it('comes to be one look for all trackers of one interval, however they began', async () => {
    const { lab, looks } = watched();
    const registry = lab.registry();
    const every = { minIntervalMs: 1_000, maxIntervalMs: 1_000, heartbeatIntervalMs: 86_400_000 };
    const trackers = [];
    for (const consumer of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const tracker = lab.track({ consumer, ...every }, registry);
      tracker.start();
      trackers.push(tracker);
      await lab.clock.advance(170);
    }
    await lab.clock.advance(5_000);
    looks.length = 0;
    await lab.clock.advance(20_000);

    expect(looks.length).toBeLessThanOrEqual(21);
    for (const { counts } of trackers.map((tracker) => tracker.snapshot())) {
      expect(counts.idlePolls).toBeGreaterThanOrEqual(20);
    }
    await Promise.all(trackers.map((tracker) => tracker.stop()));
  });

  it('stays one look where a heartbeat is due and the tables are described anew, however long that takes', async () => {
    const { lab, looks } = watched();
    const describe_ = lab.source.describe.bind(lab.source);
    let described = 0;
    lab.source.describe = async (table) => {
      described += 1;
      await lab.clock.sleep(3 + (described % 7) * 11);
      return describe_(table);
    };
    const registry = lab.registry();
    const every = { minIntervalMs: 250, maxIntervalMs: 250, heartbeatIntervalMs: 5_000 };
    const trackers = Array.from({ length: 8 }, (_, index) => lab.track({ consumer: `c${index}`, ...every }, registry));
    trackers.forEach((tracker) => tracker.start());
    await lab.clock.advance(10_000);
    looks.length = 0;
    described = 0;
    await lab.clock.advance(20_000);

    expect(described).toBeGreaterThanOrEqual(8 * 3);
    expect(looks.length).toBeLessThanOrEqual(20 * 4 + 5);
    await Promise.all(trackers.map((tracker) => tracker.stop()));
  });

  it('takes nobody with it who was told less than half of its interval ago', async () => {
    const { lab, looks } = watched();
    const look = new SharedLook(lab.source, lab.clock);
    const told: string[] = [];
    const ride = (table: string, waitMs: number) =>
      look.ride({
        table,
        waitMs,
        take: () => {
          told.push(table);
          return waitMs;
        },
        over: () => told.push(`${table} is over`),
      });
    const leave = [ride('dbo.other', 1_000), ride('dbo.later', 1_004)];
    ride('dbo.gone', 100)();
    await lab.clock.advance(501);
    await look.at(LAB_TABLE);
    await look.at(LAB_TABLE);
    expect(told).toEqual(['dbo.other']);

    await lab.clock.advance(503);
    expect(told).toEqual(['dbo.other', 'dbo.other', 'dbo.later']);
    expect(looks).toEqual([['dbo.other', LAB_TABLE], [LAB_TABLE], ['dbo.later', 'dbo.other']]);
    leave.forEach((end) => end());
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('tells who rides that the look failed, or that they failed themselves, and looks no more for them', async () => {
    const { lab, looks } = watched();
    const look = new SharedLook(lab.source, lab.clock);
    const over: Promise<unknown>[] = [];
    const ride = (take: () => number | null) =>
      look.ride({ table: LAB_TABLE, waitMs: 100, take, over: (state) => over.push(state) });
    ride(() => {
      throw new Error('The sink does not know.');
    });
    ride(() => null);
    await lab.clock.advance(100);
    expect(await Promise.all(over)).toMatchObject([{ currentVersion: 0n }, { currentVersion: 0n }]);

    lab.source.state = () => Promise.reject(new Error('down'));
    ride(() => 100);
    await lab.clock.advance(100);
    await expect(over[2]).rejects.toThrow('down');
    lab.source.state = () => {
      throw new Error('not even asked');
    };
    ride(() => 100);
    await lab.clock.advance(100);
    await expect(over[3]).rejects.toThrow('not even asked');
    await lab.clock.advance(1_000);
    expect([looks.length, lab.clock.pendingTimers]).toEqual([1, 0]);
  });

  it('sees a commit that a tracker was nudged for while a look of another one was under way', async () => {
    const { lab } = watched();
    const registry = lab.registry();
    const slow = { minIntervalMs: 1_000, maxIntervalMs: 1_000, heartbeatIntervalMs: 86_400_000 };
    const [first, second] = ['a', 'b'].map((consumer) => lab.track({ consumer, ...slow }, registry));
    first?.start();
    await lab.clock.advance(400);
    second?.start();
    await lab.clock.advance(5_000);
    const state = lab.source.state.bind(lab.source);
    let told = false;
    lab.source.state = (tables) => {
      const seen = state(tables);
      if (!told) {
        told = true;
        // The other one has been told of this look, and has not begun with it.
        queueMicrotask(() => {
          lab.write(1);
          lab.pollSignal.nudge([LAB_TABLE]);
        });
      }
      return seen;
    };
    await lab.clock.until(() => told);
    await lab.clock.settle();

    expect([first, second].map((tracker) => tracker?.snapshot().version)).toEqual([1n, 1n]);
    await Promise.all([first?.stop(), second?.stop()]);
  });

  it('costs a tracker no poll when its sink fails while it looks at what another one asked for', async () => {
    const { lab } = watched();
    const registry = lab.registry();
    const every = (ms: number) => ({ minIntervalMs: ms, maxIntervalMs: ms, heartbeatIntervalMs: 86_400_000 });
    const asking = lab.track({ consumer: 'asking', ...every(400) }, registry);
    const sink = new RecordingSink();
    const riding = lab.track({ consumer: 'riding', ...every(1_000), sink }, registry);
    asking.start();
    await lab.clock.advance(300);
    riding.start();
    await lab.clock.advance(5_000);
    let failures = 0;
    Object.defineProperty(sink, 'instance', {
      configurable: true,
      get: () => {
        failures += 1;
        throw new Error('The sink does not know.');
      },
    });
    await lab.clock.until(() => failures > 0);
    Object.defineProperty(sink, 'instance', { value: 'recording' });
    const before = riding.snapshot().counts.idlePolls;
    await lab.clock.advance(60_000);

    expect(riding.snapshot().counts.idlePolls).toBeGreaterThan(before);
    await Promise.all([asking.stop(), riding.stop()]);
  });
});
