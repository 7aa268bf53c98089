import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { StampSourceSilentError } from '../data-sync.errors.js';
import { ScriptedStampedReader } from '../testing/scripted.stamped-reader.js';
import { StampTrust } from './stamp.trust.js';

const at = (version: bigint, epoch = 1n) => ({ epoch, version });

describe('StampTrust', () => {
  it('asks the source once and believes what is at or below its answer', async () => {
    const reader = new ScriptedStampedReader(at(10n));
    const trust = new StampTrust(reader, new VirtualClock());
    expect(await trust.judge(at(10n))).toEqual({ kind: 'trusted' });
    expect(await trust.judge(at(3n))).toEqual({ kind: 'trusted' });
    expect(reader.questions).toBe(1);
  });

  it('asks again for a stamp above, and condemns it only by that answer', async () => {
    const reader = new ScriptedStampedReader(at(10n));
    const trust = new StampTrust(reader, new VirtualClock());
    await trust.judge(at(10n));
    reader.at = at(12n);
    expect(await trust.judge(at(12n))).toEqual({ kind: 'trusted' });
    expect(await trust.judge(at(13n))).toEqual({ kind: 'beyond', current: at(12n) });
    expect(reader.questions).toBe(3);
  });

  it('never condemns a stamp by a question that began before it arrived', async () => {
    const reader = new ScriptedStampedReader(at(10n));
    let resolve = (): void => {};
    reader.pause = new Promise((done) => {
      resolve = done;
    });
    const trust = new StampTrust(reader, new VirtualClock());
    const early = trust.judge(at(10n));
    reader.at = at(11n);
    reader.pause = undefined;
    const late = trust.judge(at(11n));
    resolve();
    expect(await Promise.all([early, late])).toEqual([{ kind: 'trusted' }, { kind: 'trusted' }]);
  });

  it('asks one question at a time, however many stamps wait', async () => {
    const reader = new ScriptedStampedReader(at(1_000n));
    const trust = new StampTrust(reader, new VirtualClock());
    const verdicts = await Promise.all(Array.from({ length: 1_000 }, (_, index) => trust.judge(at(BigInt(index + 1)))));
    expect(new Set(verdicts.map(({ kind }) => kind))).toEqual(new Set(['trusted']));
    expect(reader.questions).toBeLessThanOrEqual(2);
  });

  it('calls a lower epoch outdated and a higher one, unless the source says so, beyond', async () => {
    const reader = new ScriptedStampedReader(at(10n, 2n));
    const trust = new StampTrust(reader, new VirtualClock());
    expect(await trust.judge(at(999n, 1n))).toEqual({ kind: 'outdated' });
    expect(await trust.judge(at(1n, 3n))).toMatchObject({ kind: 'beyond' });
    reader.at = at(1n, 3n);
    expect(await trust.judge(at(1n, 3n))).toEqual({ kind: 'trusted' });
    expect(await trust.judge(at(10n, 2n))).toEqual({ kind: 'outdated' });
  });

  it('calls a silent source an outage, and asks again afterwards', async () => {
    const reader = new ScriptedStampedReader(at(10n));
    const trust = new StampTrust(reader, new VirtualClock());
    reader.failure = new Error('connection refused');
    await expect(Promise.all([trust.judge(at(1n)), trust.judge(at(2n))])).rejects.toThrow(StampSourceSilentError);
    reader.failure = undefined;
    expect(await trust.judge(at(1n))).toEqual({ kind: 'trusted' });
  });

  it('takes a source that does not answer at all for silent, and leaves no timer behind', async () => {
    const clock = new VirtualClock();
    const reader = new ScriptedStampedReader(at(10n));
    const trust = new StampTrust(reader, clock);
    reader.pause = new Promise(() => {});
    const hangs = expect(trust.judge(at(1n))).rejects.toThrow(StampSourceSilentError);
    await clock.advance(10_000);
    await hangs;
    reader.pause = undefined;
    expect(await trust.judge(at(1n))).toEqual({ kind: 'trusted' });
    expect(clock.pendingTimers).toBe(0);
  });
});
