import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { clockContract } from '../testing/clock.contract.js';
import { runContract } from '../testing/contract.js';
import { VirtualClock } from '../testing/virtual.clock.js';
import { SystemClock } from './system.clock.js';

runContract(
  { describe, it },
  'Clock: virtual',
  clockContract(() => {
    const clock = new VirtualClock();
    return { clock, pass: (ms) => clock.advance(ms) };
  }),
);

// The one place where real time passes: it is the adapter's subject.
runContract(
  { describe, it },
  'Clock: system',
  clockContract(() => {
    const clock = new SystemClock();
    return { clock, pass: (ms) => clock.sleep(ms) };
  }),
);

describe('SystemClock', () => {
  it('takes a delay below zero for none, of which Node would warn', async () => {
    const warned: string[] = [];
    const note = ({ name }: Error): void => void warned.push(name);
    process.on('warning', note);
    await new Promise<void>((resolve) => {
      new SystemClock().setTimer(-5, resolve);
    });
    await setImmediate();
    process.off('warning', note);

    expect(warned).not.toContain('TimeoutNegativeWarning');
  });
});
