import { describe, expect, it } from 'vitest';
import { LAB_TABLE, TrackerLab } from '../testing/index.js';

describe('CdcRegistry', () => {
  it('pauses and resumes the trackers of a table, all of them or the one of a consumer', async () => {
    const lab = new TrackerLab();
    const registry = lab.registry();
    registry.begin((tracker) => tracker.start());
    const [first, second, other] = [
      lab.track({ consumer: 'first' }, registry),
      lab.track({ consumer: 'second' }, registry),
      lab.track({ consumer: 'first', table: 'dbo.other' }, registry),
    ];
    const states = () => [first, second, other].map(({ state }) => state.kind);
    await lab.clock.until(() => states().every((kind) => kind === 'streaming'));

    registry.pause(LAB_TABLE, 'second');
    await lab.clock.until(() => second.state.kind === 'paused');
    lab.write(1);
    await lab.caughtUp(first);
    expect(states()).toEqual(['streaming', 'paused', 'streaming']);

    registry.pause(LAB_TABLE);
    await lab.clock.until(() => first.state.kind === 'paused');
    lab.write(2);
    await lab.clock.advance(120_000);
    expect([first, second].map((tracker) => tracker.snapshot().version)).toEqual([1n, 0n]);

    registry.resume(LAB_TABLE);
    await Promise.all([lab.caughtUp(first), lab.caughtUp(second)]);
    expect(states()).toEqual(['streaming', 'streaming', 'streaming']);
    await Promise.all(registry.list().map((tracker) => tracker.stop()));
  });
});
