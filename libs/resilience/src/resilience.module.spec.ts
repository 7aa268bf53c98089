import { metrics, type BatchObservableCallback, createNoopMeter, type Meter } from '@opentelemetry/api';
import { Global, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Clock } from './clock/clock.js';
import { Resilient } from './decorators/resilient.decorator.js';
import { CircuitsHealthProbe } from './health/circuits.health-probe.js';
import { ResilienceRegistry } from './policy/policy.registry.js';
import { Random } from './random/random.js';
import { ConfigurationError, UnknownPolicyError } from './resilience.errors.js';
import { ResilienceModule } from './resilience.module.js';
import type { ResilienceModuleOptions } from './resilience.options.js';
import { ShutdownCoordinator } from './shutdown/shutdown.coordinator.js';
import { SeededRandom } from './random/seeded.random.js';
import { VirtualClock } from './testing/virtual.clock.js';

@Injectable()
class Client {
  @Resilient('stock')
  async find(work: () => Promise<string>): Promise<string> {
    return work();
  }
}

const boot = (options: ResilienceModuleOptions, ...more: ReturnType<typeof ResilienceModule.forRoot>[]) => {
  @Module({ imports: [ResilienceModule.forRoot(options), ...more], providers: [Client] })
  class AppModule {}
  return NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
};
const fail = (): Promise<string> => Promise.reject(new Error('boom'));
const onceToOpen = { retry: false, breaker: { strategy: { kind: 'consecutive', failures: 1 } } } as const;

afterEach(() => {
  metrics.disable();
  vi.restoreAllMocks();
});

describe('ResilienceModule', () => {
  it('gives two apps in one process the policies of their own, and no state in common', async () => {
    const first = await boot({ policies: { stock: onceToOpen } });
    const second = await boot({ policies: { stock: { retry: false, breaker: false }, extra: {} } });
    await expect(first.get(Client).find(fail)).rejects.toThrow('boom');
    await expect(second.get(Client).find(fail)).rejects.toThrow('boom');

    await expect(first.get(Client).find(async () => 'ok')).rejects.toThrow('is open');
    expect(await second.get(Client).find(async () => 'ok')).toBe('ok');
    expect(first.get(ResilienceRegistry).list()).toMatchObject([{ name: 'stock', calls: 2 }]);
    expect(second.get(ResilienceRegistry).list()).toMatchObject([
      { name: 'stock', calls: 2 },
      { name: 'extra', calls: 0 },
    ]);
    expect(first.get(ShutdownCoordinator)).not.toBe(second.get(ShutdownCoordinator));

    await first.close();
    expect(first.get(ShutdownCoordinator).isStopping).toBe(true);
    expect(second.get(ShutdownCoordinator).isStopping).toBe(false);
    await second.close();
  });

  it('ends the wait before a retry with the error it waited for when the app stops, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const app = await boot({ clock, policies: { stock: { retry: { initialMs: 20_000, jitter: 'none' } } } });
    const call = app.get(Client).find(fail);
    await clock.settle();
    expect(clock.pendingTimers).toBe(1);
    await app.close();

    await expect(call).rejects.toThrow('boom');
    await expect(app.get(Client).find(fail)).rejects.toThrow('boom');
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives out the clock and the chance that it was given', async () => {
    const [clock, random] = [new VirtualClock(), new SeededRandom()];
    const app = await boot({ clock, random, policies: { stock: { totalTimeoutMs: 1_000 } } });
    await app.get(Client).find(async () => 'ok');
    expect([app.get(Clock), app.get(Random)]).toEqual([clock, random]);
    await app.close();

    expect(clock.pendingTimers).toBe(0);
  });

  it('takes options from a factory, with what it injects', async () => {
    class Settings {
      readonly timeoutMs = 1_000;
    }
    @Global()
    @Module({ providers: [Settings], exports: [Settings] })
    class SettingsModule {}
    @Module({
      imports: [
        ResilienceModule.forRootAsync({
          imports: [SettingsModule],
          inject: [Settings],
          useFactory: async (settings: Settings) => ({ policies: { stock: { totalTimeoutMs: settings.timeoutMs } } }),
        }),
      ],
    })
    class AppModule {}
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });

    expect(app.get(ResilienceRegistry).has('stock')).toBe(true);
    await app.close();
  });

  it('refuses a second forRoot in one app', async () => {
    await expect(boot({ policies: { stock: {} } }, ResilienceModule.forRoot())).rejects.toThrow(/more than once/);
  });

  it.each<[string, object, RegExp]>([
    ['an unknown option', { polices: {} }, /polices/],
    [
      'a duration as text',
      { policies: { stock: { totalTimeoutMs: '5s' } } },
      /"policies.stock.totalTimeoutMs": .*milliseconds/,
    ],
    ['a preset that is not there', { policies: { stock: { preset: 'mysql' } } }, /"policies.stock.preset"/],
    [
      'a share of 1',
      { policies: { stock: { breaker: { strategy: { kind: 'count', size: 5, threshold: 1 } } } } },
      /below 1/,
    ],
    ['a clock that is none', { clock: {} }, /"clock": expected an instance of a class that extends Clock/],
    ['an unknown phase', { shutdown: { phaseTimeoutsMs: { worker: 1 } } }, /worker/],
  ])('refuses %s at once, and names the option', (_name, options, message) => {
    expect(() => ResilienceModule.forRoot(options)).toThrow(ConfigurationError);
    expect(() => ResilienceModule.forRoot(options)).toThrow(message);
  });

  it('refuses votes per attempt when one failing call would open the circuit, with the arithmetic', async () => {
    const clash = { retry: { maxRetries: 4 }, breaker: { voteOn: 'attempt' } } as const;

    await expect(boot({ policies: { stock: clash } })).rejects.toThrow(
      /Policy "stock": option "breaker.voteOn": with "attempt" one failing call makes 5 failures .* opens at 5/,
    );
  });

  it('reports the policies as metrics until the app has closed', async () => {
    const callbacks = new Set<BatchObservableCallback>();
    const meter: Meter = Object.assign(Object.create(createNoopMeter()), {
      addBatchObservableCallback: (callback: BatchObservableCallback) => callbacks.add(callback),
      removeBatchObservableCallback: (callback: BatchObservableCallback) => callbacks.delete(callback),
    });
    metrics.setGlobalMeterProvider({ getMeter: () => meter });
    const app = await boot({ policies: { stock: { bulkhead: { limit: 3 } } } });
    await app.get(Client).find(async () => 'ok');
    const observed: [number, unknown][] = [];
    const observe = (_instrument: unknown, value: number, attributes: unknown): void =>
      void observed.push([value, attributes]);
    for (const callback of callbacks) {
      await callback({ observe });
    }

    expect(observed).toContainEqual([1, { policy: 'stock', outcome: 'succeeded' }]);
    expect(observed).toContainEqual([1, { policy: 'stock', state: 'closed' }]);
    expect(observed).toContainEqual([0, { policy: 'stock', state: 'open' }]);
    await app.close();
    expect(callbacks.size).toBe(0);
  });

  it('has a health probe that is degraded while a circuit is not closed', async () => {
    const app = await boot({ policies: { stock: onceToOpen, plain: { breaker: false } } });
    const probe = app.get(CircuitsHealthProbe);
    expect(probe.check()).toEqual({ status: 'up', details: { stock: 'closed' } });
    await app
      .get(Client)
      .find(fail)
      .catch(() => undefined);

    expect(probe.check()).toEqual({ status: 'degraded', details: { stock: 'open' } });
    await app.close();
  });
});

describe('ResilienceRegistry', () => {
  const registry = () => new ResilienceRegistry(new VirtualClock(), new SeededRandom());

  it('lists the names it knows when it is asked for one that it does not', () => {
    const policies = registry();
    policies.create('redis');
    policies.create('pulsar');

    expect(() => policies.get('sql')).toThrow(UnknownPolicyError);
    expect(() => policies.get('sql')).toThrow('There is no policy "sql": known are "redis", "pulsar".');
  });

  it('refuses a name twice, and wrong options', () => {
    const policies = registry();
    policies.create('redis');

    expect(() => policies.create('redis')).toThrow(/a policy of this name/);
    expect(() => policies.create('sql', { bulkhead: { limit: 0 } })).toThrow(
      /Policy "sql": option "bulkhead.*whole number/s,
    );
  });

  it('lays options over a preset over the defaults', async () => {
    const clock = new VirtualClock();
    const policies = new ResilienceRegistry(clock, new SeededRandom());
    const redis = policies.create('redis', {
      preset: 'redis',
      retry: { initialMs: 10, jitter: 'none' },
      breaker: false,
    });
    const runsMs: number[] = [];
    const call = redis
      .execute(() => {
        runsMs.push(clock.monotonic());
        return runsMs.length === 1 ? fail() : new Promise<string>(() => {});
      })
      .catch((error: Error) => error.message);
    await clock.advance(60_000);

    expect(await call).toContain('5000 ms');
    expect(runsMs).toEqual([0, 10, 5_030, 10_070]);
  });
});
