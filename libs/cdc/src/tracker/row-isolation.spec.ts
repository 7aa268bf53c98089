import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RowChange } from '../change/row-change.js';
import { TrackerLab } from '../testing/index.js';
import type { TrackerOptions } from './tracker.options.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

/** A tracker that follows, and a sink that throws where `fails` says so. */
async function following(options: Partial<TrackerOptions>, fails: (changes: readonly RowChange[]) => boolean) {
  const lab = new TrackerLab();
  const tracker = lab.track(options);
  tracker.start();
  await lab.caughtUp(tracker);
  const accept = lab.sink.accept.bind(lab.sink);
  const offers: number[] = [];
  lab.sink.accept = async (changes, handOff) => {
    offers.push(changes.length);
    if (fails(changes)) {
      throw new Error('a handler failed');
    }
    return accept(changes, handOff);
  };
  return { lab, tracker, offers };
}

const hasId = (id: number) => (changes: readonly RowChange[]) =>
  changes.some(({ primaryKey }) => primaryKey['id'] === id);
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('a change that a sink fails at', () => {
  it('is found by halves after so many attempts, told of and passed, and every other change is accepted', async () => {
    const poisoned: unknown[] = [];
    const { lab, tracker, offers } = await following(
      {
        maxAttempts: 3,
        onPoison: ({ primaryKey, version }, error, consumer) =>
          void poisoned.push([primaryKey['id'], version.version, error.message, consumer]),
      },
      hasId(37),
    );
    lab.write(...upTo(100));
    await lab.caughtUp(tracker);

    expect(poisoned).toEqual([[37, 1n, 'a handler failed', 'lab']]);
    expect(new Set(lab.sink.changes.map(({ primaryKey }) => primaryKey['id']))).toEqual(
      new Set(upTo(100).filter((id) => id !== 37)),
    );
    expect(offers.slice(0, 3)).toEqual([100, 100, 100]);
    expect(offers.length).toBeLessThanOrEqual(3 + 2 * Math.ceil(Math.log2(100)) + 3);
    expect(tracker.snapshot().counts).toMatchObject({ poison: 1, changes: 99, errors: 2 });
    await tracker.stop();
  });

  it('is offered for ever where no number of attempts is set', async () => {
    const { lab, tracker } = await following({}, hasId(2));
    lab.write(1, 2, 3);
    await lab.clock.advance(3_600_000);

    expect(tracker.state.kind).toBe('failing');
    expect(tracker.snapshot().counts.poison).toBe(0);
    expect(tracker.snapshot().version).toBe(0n);
    await tracker.stop();
  });

  it.each([
    ['a sink that is down', () => () => true],
    [
      'a sink that goes down while the change is looked for',
      () => {
        let offers = 0;
        // The first half is accepted, and nothing after that.
        return () => ++offers !== 3;
      },
    ],
  ])('is none where all fail: %s costs no change', async (_, make) => {
    let fails: (changes: readonly RowChange[]) => boolean = make();
    const { lab, tracker } = await following({ maxAttempts: 2 }, (changes) => fails(changes));
    lab.write(...upTo(8));
    await lab.clock.advance(3_600_000);
    expect(tracker.snapshot().counts.poison).toBe(0);
    expect(tracker.snapshot().version).toBe(0n);

    fails = () => false;
    await lab.caughtUp(tracker);
    expect(new Set(lab.sink.changes.map(({ primaryKey }) => primaryKey['id']))).toEqual(new Set(upTo(8)));
    await tracker.stop();
  });

  it.each([
    [
      'an outage that ends while the change is looked for',
      () => {
        let offers = 0;
        // Two of the page, its halves down to three single changes; then the sink is back.
        return () => ++offers <= 8;
      },
    ],
    [
      'a passing failure of one neighbour',
      () => {
        let alone = 0;
        return (changes: readonly RowChange[]) =>
          hasId(5)(changes) || (changes.length === 1 && hasId(6)(changes) && ++alone === 1);
      },
    ],
  ])('is given up only where it fails again between two that are accepted: %s costs no change', async (_, make) => {
    const poisoned: unknown[] = [];
    const fails: (changes: readonly RowChange[]) => boolean = make();
    const onPoison = ({ primaryKey }: RowChange): void => void poisoned.push(primaryKey['id']);
    const { lab, tracker } = await following({ maxAttempts: 2, onPoison }, (changes) => fails(changes));
    lab.write(...upTo(8));
    await lab.caughtUp(tracker);

    const all = new Set(upTo(8));
    const accepted = new Set(lab.sink.changes.map(({ primaryKey }) => primaryKey['id']));
    expect(poisoned.filter((id) => id !== 5)).toEqual([]);
    expect(new Set([...accepted, ...poisoned])).toEqual(all);
    await tracker.stop();
  });

  it('comes again with its page where telling of it failed', async () => {
    let told = 0;
    const { lab, tracker } = await following(
      {
        maxAttempts: 1,
        onPoison: () => {
          told += 1;
          if (told === 1) {
            throw new Error('the dead letter was not stored');
          }
        },
      },
      hasId(2),
    );
    lab.write(1, 2, 3);
    await lab.caughtUp(tracker);

    expect(told).toBe(2);
    expect(tracker.snapshot().counts.poison).toBe(1);
    await tracker.stop();
  });
});
