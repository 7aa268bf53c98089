import { describe, expect, it } from 'vitest';
import { ChannelSequences } from './channel-sequences.js';
import { LaneWatch } from './lane-watch.js';
import { SequenceWatch } from './sequence-watch.js';
import { SharedRun } from '../connection/shared-run.js';

describe('messages that leave by several servers', () => {
  it('are numbered for each, so that one that overtakes those of another server is no gap', () => {
    const sequences = new ChannelSequences('p');
    const watch = new SequenceWatch(5_000);
    const [a1, b1, a2, b2] = [
      sequences.next('c', 's', 'a'),
      sequences.next('c', 's', 'b'),
      sequences.next('c', 's', 'a'),
      sequences.next('c', 's', 'b'),
    ];
    expect([b1, b2, a1, a2].map((origin) => watch.misses(origin, false))).toEqual([false, false, false, false]);
    expect(watch.misses(sequences.last('c', 's', 'a'), true)).toBe(false);
    sequences.next('c', 's', 'a');
    expect(watch.misses(sequences.last('c', 's', 'b'), true)).toBe(false);
    expect(watch.misses(sequences.last('c', 's', 'a'), true)).toBe(true);
  });

  it('are not counted by a sign of life before it is clear whether they come to anything', () => {
    const sequences = new ChannelSequences('p');
    const [one, two, three] = [
      sequences.begin('c', 's', 'a'),
      sequences.begin('c', 's', 'a'),
      sequences.begin('c', 's', 'a'),
    ];
    expect(sequences.last('c', 's', 'a').sequence).toBe(0);
    sequences.end('c', 'a', two);
    expect(sequences.last('c', 's', 'a').sequence).toBe(0);
    sequences.end('c', 'a', one);
    expect(sequences.last('c', 's', 'a').sequence).toBe(2);
    sequences.end('c', 'a', three);
    expect(sequences.last('c', 's', 'a').sequence).toBe(3);
    expect(sequences.last('c', 's', 'b').sequence).toBe(0);
  });

  it('tell by which they came, where they are of this process', () => {
    const [own, other] = [new ChannelSequences('p'), new ChannelSequences('p2')];
    expect(own.laneOf(own.next('c', 's'))).toBe('');
    expect(own.laneOf(own.next('c', 's', 'a'))).toBe('a');
    expect(own.laneOf(other.next('c', 's', 'a'))).toBeUndefined();
    expect(own.laneOf(other.next('c', 's'))).toBeUndefined();
  });

  it('show a server that is cut off by its silence, and a new one has its time first', () => {
    const lanes = new LaneWatch();
    expect(lanes.silent(['a', 'b'], 0, 300)).toBe(false);
    lanes.hear('a', 250);
    lanes.hear('b', 250);
    expect(lanes.silent(['a', 'b'], 500, 300)).toBe(false);
    lanes.hear('a', 500);
    expect(lanes.silent(['a', 'b'], 600, 300)).toBe(true);
    expect(lanes.silent(['a'], 600, 300)).toBe(false);
    expect(lanes.silent(['a', 'b'], 700, 300)).toBe(false);
    lanes.clear();
    expect(lanes.silent(['a', 'b'], 9_000, 300)).toBe(false);
  });
});

describe('a shared run', () => {
  it('serves everybody who asks while one runs by the next one, also when that one fails', async () => {
    const runs: { resolve: () => void; reject: (error: Error) => void }[] = [];
    const shared = new SharedRun(() => new Promise((resolve, reject) => runs.push({ resolve, reject })));
    const first = shared.run();
    const [second, third] = [shared.run(), shared.run()];
    expect(second).toBe(third);
    expect(runs).toHaveLength(1);
    runs[0]?.reject(new Error('It fails.'));
    await expect(first).rejects.toThrow('It fails.');
    expect(runs).toHaveLength(2);
    runs[1]?.resolve();
    await second;
    const fourth = shared.run();
    expect(runs).toHaveLength(3);
    runs[2]?.resolve();
    await fourth;
  });
});
