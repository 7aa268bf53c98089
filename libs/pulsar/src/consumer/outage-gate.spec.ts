import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { OutageGate } from './outage-gate.js';

describe('the gate of an outage', () => {
  const clock = new VirtualClock();

  function trippedGate(): OutageGate {
    const gate = new OutageGate({
      clock,
      random: new SeededRandom(),
      backoff: { initialMs: 1_000, multiplier: 2, maxMs: 60_000, jitter: 'none' },
      probe: undefined,
      onProbeFailed: () => undefined,
      onRecovered: () => undefined,
    });
    gate.trip();
    return gate;
  }

  it('gives its test to one that will run it, and lets those go whose message is another consumer’s by now', async () => {
    const gate = trippedGate();
    let isLost = false;
    const lost = Array.from({ length: 20 }, () => gate.enter(() => !isLost));
    const alive = gate.enter(() => true);
    const behind = gate.enter(() => true);
    isLost = true;
    await clock.advance(1_000);

    expect(await alive).toBe('test');
    expect(new Set(await Promise.all(lost))).toEqual(new Set(['stopped']));
    gate.tested(true);
    expect(await behind).toBe('free');
  });

  it('keeps its test for the next that comes when nobody is left to run it', async () => {
    const gate = trippedGate();
    const lost = gate.enter(() => false);
    await clock.advance(1_000);

    expect(await lost).toBe('stopped');
    expect(await gate.enter(() => true)).toBe('test');
    gate.stop();
  });
});
