import { describe, expect, it } from 'vitest';
import { readRedirection, readSlots, slotOf } from './cluster-slots.js';

const ASKED = { host: '10.0.0.1', port: 7_000 };

describe('slots of a cluster', () => {
  it('are those of the specification', () => {
    expect(slotOf('123456789')).toBe(0x31c3);
    expect(slotOf('')).toBe(0);
  });

  it('are of what stands in the first braces, unless that is nothing', () => {
    expect(slotOf('{user1000}.following')).toBe(slotOf('user1000'));
    expect(slotOf('foo{bar}{zap}')).toBe(slotOf('bar'));
    expect(slotOf('foo{{bar}}zap')).toBe(slotOf('{bar'));
    expect(slotOf('foo{}{bar}')).not.toBe(slotOf('bar'));
    expect(slotOf('{shop:rows:k}:v.17')).toBe(slotOf('{shop:rows:k}:v'));
  });

  it('are read with their masters, each once, and a host that a node does not know is the one that was asked', () => {
    const reply = [
      [0, 99, ['10.0.0.2', 7001, 'aaa', []], ['10.0.0.3', 7002, 'ccc', []]],
      [100, 199, ['', 7000, 'bbb', []]],
      [200, 299, ['10.0.0.2', 7001, 'aaa', []]],
    ];
    expect(readSlots(reply, ASKED)).toEqual([
      {
        id: 'aaa',
        host: '10.0.0.2',
        port: 7_001,
        ranges: [
          [0, 99],
          [200, 299],
        ],
      },
      { id: 'bbb', host: '10.0.0.1', port: 7_000, ranges: [[100, 199]] },
    ]);
    expect(() => readSlots('OK', ASKED)).toThrow(TypeError);
    expect(() => readSlots([[0, 1, ['h', 'p', 'id']]], ASKED)).toThrow(TypeError);
  });

  it('may be elsewhere, for good or for one command', () => {
    expect(readRedirection(new Error('MOVED 3999 10.0.0.9:6381'), ASKED)).toEqual({
      kind: 'moved',
      slot: 3_999,
      host: '10.0.0.9',
      port: 6_381,
    });
    expect(readRedirection(new Error('ASK 1 :6381'), ASKED)).toMatchObject({ kind: 'ask', host: '10.0.0.1' });
    expect(readRedirection(new Error('MOVED 1 2001:db8::1:6381'), ASKED)).toMatchObject({ host: '2001:db8::1' });
    expect(readRedirection(new Error('TRYAGAIN Multiple keys'), ASKED)).toBeUndefined();
    expect(readRedirection('MOVED 1 h:1', ASKED)).toBeUndefined();
  });
});
