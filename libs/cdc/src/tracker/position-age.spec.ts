import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LAB_TABLE, TrackerLab } from '../testing/index.js';
import type { ChangeTracker } from './change-tracker.js';
import type { TrackerOptions } from './tracker.options.js';

const DAY_MS = 86_400_000;
const alarms: string[] = [];

beforeEach(() => {
  alarms.length = 0;
  const note = (level: string) => (message: string) => {
    if (message.includes('of the retention')) {
      alarms.push(`${level}: ${/\d+ %/.exec(message)?.[0]}`);
    }
  };
  Logger.overrideLogger({ log: () => {}, warn: note('warn'), error: note('error') });
});
afterEach(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

/** Three rows in a database that keeps changes for a day. */
function dayLab(): TrackerLab {
  const lab = new TrackerLab();
  const state = lab.source.state.bind(lab.source);
  lab.source.state = async (tables) => ({ ...(await state(tables)), retentionMs: DAY_MS });
  lab.write(1, 2, 3);
  return lab;
}

/** A tracker of a replica of its own. */
function replica(lab: TrackerLab, options: Partial<TrackerOptions> = {}): ChangeTracker {
  const registry = lab.registry();
  registry.begin((tracker) => tracker.start());
  return lab.track(options, registry);
}

async function follows(lab: TrackerLab, options: Partial<TrackerOptions> = {}): Promise<ChangeTracker> {
  const tracker = replica(lab, options);
  await lab.caughtUp(tracker);
  return tracker;
}

describe('the age of a position', () => {
  it('counts on over a restart: who never catches up afterwards is told of in time', async () => {
    const lab = dayLab();
    await (await follows(lab)).stop();
    lab.write(4);
    lab.source.readPage = () => Promise.reject(new Error('down'));
    await lab.clock.advance(DAY_MS * 0.4);
    const restarted = replica(lab);
    await lab.clock.advance(DAY_MS * 0.45);

    expect(restarted.snapshot().retentionUsed).toBeCloseTo(0.85, 2);
    expect(alarms).toEqual(['warn: 50 %', 'error: 80 %']);
    await restarted.stop();
  });

  it('is that of the replica that led last: who takes over a position that was up to date finds it young', async () => {
    const lab = dayLab();
    const first = await follows(lab, { pageSize: 2 });
    await lab.clock.advance(60_000);
    await first.stop();
    const second = await follows(lab, { pageSize: 2 });
    await lab.clock.advance(DAY_MS * 1.5);
    await second.stop();
    lab.write(4);
    lab.write(5);
    lab.write(6);
    first.start();
    const ages: (number | null)[] = [];
    lab.sink.hold(async () => void ages.push(first.snapshot().caughtUpAgoMs));
    await lab.caughtUp(first);

    expect(ages.length).toBeGreaterThan(1);
    expect(Math.max(...ages.map((ageMs) => ageMs ?? Number.NaN))).toBeLessThanOrEqual(5 * 60_000);
    expect(alarms).toEqual([]);
    await first.stop();
  });

  it('is nothing that a replica claims to know while another one leads', async () => {
    const lab = dayLab();
    const first = await follows(lab);
    await first.stop();
    const second = await follows(lab);
    first.start();
    await lab.clock.advance(DAY_MS);

    expect(first.state.kind).toBe('waitingForLease');
    expect(first.snapshot()).toMatchObject({ caughtUpAgoMs: null, retentionUsed: null });
    expect(second.snapshot().retentionUsed).toBeLessThan(0.01);
    lab.leadership.acquire = () => Promise.reject(new Error('down'));
    await lab.clock.advance(DAY_MS);
    expect(alarms).toEqual([]);
    await first.stop();
    await second.stop();
  });

  it('begins with the scan of a bootstrap, the first one, too, and goes on where another replica takes that over', async () => {
    const lab = dayLab();
    const readChunk = lab.source.readChunk.bind(lab.source);
    lab.source.readChunk = async (request) => {
      await lab.clock.sleep(DAY_MS * 0.2, request.signal);
      return readChunk(request);
    };
    const first = replica(lab, { chunkSize: 1 });
    await lab.clock.advance(DAY_MS * 0.45);
    expect(first.snapshot().retentionUsed).toBeCloseTo(0.45, 2);
    await first.stop(AbortSignal.abort());
    const second = replica(lab, { chunkSize: 1 });
    await lab.clock.advance(DAY_MS * 0.3);

    expect(second.snapshot().retentionUsed).toBeCloseTo(0.75, 2);
    expect(second.snapshot().phase).toBe('bootstrapping');
    expect(alarms).toEqual([expect.stringMatching(/^warn: [56]\d %$/)]);
    await second.stop(AbortSignal.abort());
  });

  it('is stored now and then while nothing happens, and no more often', async () => {
    const lab = dayLab();
    const tracker = await follows(lab);
    const { pages } = tracker.snapshot().counts;
    const save = lab.checkpoints.save.bind(lab.checkpoints);
    const savedAtMs: (number | null)[] = [];
    lab.checkpoints.save = (checkpoint, fence) => {
      savedAtMs.push(checkpoint.upToDateAtMs);
      return save(checkpoint, fence);
    };
    await lab.clock.advance(60 * 60_000);

    expect(savedAtMs.length).toBeGreaterThanOrEqual(10);
    expect(savedAtMs.length).toBeLessThanOrEqual(12);
    expect(tracker.snapshot().counts.pages).toBe(pages);
    await tracker.stop();
    const stored = await lab.checkpoints.load({ consumer: 'lab', source: 'db', table: LAB_TABLE });
    expect(lab.clock.now() - (stored?.upToDateAtMs ?? 0)).toBeLessThanOrEqual(6 * 60_000);
  });

  it('is that of the question, not of the answer: what was committed while a page was under way is not in it', async () => {
    const lab = dayLab();
    const tracker = await follows(lab);
    const readPage = lab.source.readPage.bind(lab.source);
    lab.source.readPage = async (request) => {
      const page = await readPage(request);
      await lab.clock.sleep(5_000, request.signal);
      return page;
    };
    lab.write(4);
    await lab.caughtUp(tracker);

    expect(tracker.snapshot().caughtUpAgoMs).toBeGreaterThanOrEqual(5_000);
    const stored = await lab.checkpoints.load({ consumer: 'lab', source: 'db', table: LAB_TABLE });
    expect(lab.clock.now() - (stored?.upToDateAtMs ?? 0)).toBeGreaterThanOrEqual(5_000);
    await tracker.stop();
  });

  it.each([
    ['its own, for a heartbeat', 100],
    ['the one that it waited for', 3_600_000],
  ])('is that of the question where a look finds nothing to do: %s', async (_look, heartbeatIntervalMs) => {
    const lab = dayLab();
    const tracker = await follows(lab, { heartbeatIntervalMs });
    const state = lab.source.state.bind(lab.source);
    lab.source.state = async (tables) => {
      const seen = await state(tables);
      await lab.clock.sleep(5_000);
      return seen;
    };
    await lab.clock.advance(120_000);
    const ages: number[] = [];
    for (let look = 0; look < 240; look++) {
      await lab.clock.advance(500);
      ages.push(tracker.snapshot().caughtUpAgoMs ?? Number.NaN);
    }

    expect(Math.min(...ages)).toBeGreaterThanOrEqual(5_000);
    await tracker.stop();
  });
});
