import { describe, expect, it } from 'vitest';
import { LAB_TABLE, TrackerLab } from '../testing/index.js';
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
    const look = new SharedLook(lab.source);
    const answers = await Promise.all([look.at(LAB_TABLE), look.at('dbo.other'), look.at(LAB_TABLE)]);
    await look.at(LAB_TABLE);

    expect(looks).toEqual([['dbo.other', LAB_TABLE], [LAB_TABLE]]);
    expect(answers.every(({ tables }) => tables.size === 2)).toBe(true);
  });

  it('never answers from a look that had begun: a commit before the question is seen', async () => {
    const { lab } = watched();
    const look = new SharedLook(lab.source);
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
    const look = new SharedLook(lab.source);
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
});
