import { nack, type PulsarContext } from '@smartpulse/pulsar';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { inProcessWorld } from '../support/pulsar-faults/fault-world.js';
import { moduleFaults } from '../support/pulsar-faults/module-faults.js';

/** A machine whose wall time is set while the app runs. */
class JumpingClock extends VirtualClock {
  jumpedMs = 0;

  override now(): number {
    return super.now() + this.jumpedMs;
  }
}

describe('every stored message is handled or given up, in the order of its key, in the process', () => {
  it.each(moduleFaults.filter(({ needs }) => needs === undefined))('with $title', async ({ run }) => {
    const clock = new VirtualClock();
    const world = inProcessWorld(clock);
    try {
      await run(world);
    } finally {
      await world.close();
    }
    expect(clock.pendingTimers).toBe(0);
  });

  it.each([
    ['back', -3_600_000],
    ['forward', 3_600_000],
  ])('with a wall clock that jumps an hour %s: retries and delays stay what they are', async (_way, jumpMs) => {
    const clock = new JumpingClock();
    const world = inProcessWorld(clock);
    const { consumers, publisher } = await world.start();
    const runs: { readonly at: string; readonly ms: number }[] = [];
    const runAt = (at: string, { attempt }: PulsarContext) => {
      runs.push({ at, ms: clock.monotonic() });
      return attempt === 1;
    };
    const backoff = { initialMs: 1_000, maxMs: 1_000, jitter: 'none' } as const;
    await consumers.register({ topic: 'retried', subscription: 's', backoff }, (at: string, context) => {
      if (runAt(at, context)) {
        throw new Error('not yet');
      }
    });
    await consumers.register({ topic: 'refused', subscription: 's' }, (at: string, context) =>
      runAt(at, context) ? nack(2_000) : undefined,
    );
    await consumers.register(
      { topic: 'slow', subscription: 's', backoff, timeoutMs: 3_000, concurrency: 2 },
      (at: string, context) =>
        runAt(at, context)
          ? new Promise<void>((_resolve, reject) => {
              context.signal.addEventListener('abort', () => reject(new Error('too slow')), { once: true });
            })
          : undefined,
    );
    for (const topic of ['retried', 'refused', 'slow']) {
      await world.elapse(publisher.publish(topic, topic).then(() => undefined));
    }
    await clock.advance(500);
    clock.jumpedMs = jumpMs;
    await world.elapse(publisher.publish('slow', 'slow too').then(() => undefined));
    await clock.advance(4_500);
    expect(runs.slice(3)).toEqual([
      { at: 'slow too', ms: 500 },
      { at: 'retried', ms: 1_000 },
      { at: 'refused', ms: 2_000 },
      { at: 'slow', ms: 4_000 },
      { at: 'slow too', ms: 4_500 },
    ]);
    await world.close();
    expect(clock.pendingTimers).toBe(0);
  });
});
