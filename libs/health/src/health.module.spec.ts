import { Catch, type ExceptionFilter, type INestApplication, Module, type Provider } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  Clock,
  ConfigurationError,
  enableGracefulShutdown,
  ResilienceModule,
  ResilienceRegistry,
  ShutdownCoordinator,
} from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import request from 'supertest';
import { afterEach, describe, expect, it } from 'vitest';
import { DuplicateProbeError } from './health.errors.js';
import { HealthModule } from './health.module.js';
import type { HealthModuleOptions } from './health.options.js';
import { StubHealthProbe } from './testing/index.js';

let app: INestApplication;
let clock: VirtualClock;

afterEach(async () => {
  await app.close();
  expect(clock.pendingTimers).toBe(0);
});

async function start(
  probes: readonly StubHealthProbe[],
  options: HealthModuleOptions = {},
  more: Provider[] = [],
): Promise<void> {
  clock = new VirtualClock();
  @Module({
    imports: [
      ResilienceModule.forRoot({ clock, policies: { stock: { retry: false } } }),
      HealthModule.forRoot(options),
    ],
    providers: [...probes.map((probe) => ({ provide: `probe ${probe.name}`, useValue: probe })), ...more],
  })
  class AppModule {}
  const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
  app = module.createNestApplication({ logger: false });
  await app.listen(0, '127.0.0.1');
  await clock.settle();
}

const ask = (path: string) => request(app.getHttpServer()).get(path);
const statusOf = async (path: string): Promise<[number, unknown]> => {
  const { status, body }: { status: number; body: { status?: unknown } } = await ask(path);
  return [status, body.status];
};
const probe = (name: string, overrides: Partial<StubHealthProbe> = {}, critical = false): StubHealthProbe =>
  Object.assign(new StubHealthProbe(name, critical), overrides);
const round = (rounds = 1) => clock.advance(rounds * 5_500);

describe('/health', () => {
  it('shows every probe with its details to a caller on loopback, in the format of Terminus, never stored', async () => {
    await start([probe('redis', { details: { entries: 3 } }, true), probe('pulsar', { status: 'degraded' })]);
    const answer = await ask('/health');

    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.body).toMatchObject({
      status: 'degraded',
      error: {},
      details: {
        redis: { status: 'up', critical: true, probe: 'up', details: { entries: 3 } },
        pulsar: { status: 'degraded', critical: false },
        'resilience-circuits': { status: 'up', details: { stock: 'closed' } },
      },
    });
  });

  it.each<[string, HealthModuleOptions, Record<string, string>, boolean]>([
    ['a caller behind a proxy on this machine', {}, { 'X-Forwarded-For': '10.0.0.1' }, false],
    ['anybody with details never', { details: 'never' }, {}, false],
    ['anybody with details always', { details: 'always' }, { 'X-Forwarded-For': '10.0.0.1' }, true],
    ['whom the function lets', { details: ({ headers }) => headers['x-key'] === 'a' }, { 'X-Key': 'a' }, true],
    ['whom the function does not let', { details: ({ headers }) => headers['x-key'] === 'a' }, { 'X-Key': 'b' }, false],
  ])('decides what it shows to %s', async (_name, options, headers, shown) => {
    await start([probe('redis', { status: 'down' }, true)], options);
    const answer = await ask('/health').set(headers);

    expect(answer.status).toBe(503);
    expect(answer.text.includes('details')).toBe(shown);
    expect(answer.body).toMatchObject({ status: 'error' });
  });

  it('never shows the text of an error, only its name', async () => {
    const error = new RangeError('connect redis://user:secret@10.1.2.3:6379');
    await start([probe('redis', { error }, true)], { details: 'always' });
    const { text } = await ask('/health');

    expect(text).toContain('RangeError');
    expect(text).not.toMatch(/secret|10\.1\.2\.3/);
  });

  it('is degraded, and answers 200, when a probe that is not critical is down', async () => {
    await start([probe('pulsar', { status: 'down' })]);
    const answer = await ask('/health');

    expect([answer.status, answer.body]).toMatchObject([
      200,
      { status: 'degraded', details: { pulsar: { status: 'degraded', probe: 'down' } } },
    ]);
  });

  it('is degraded while a circuit is open', async () => {
    await start([]);
    const policy = app.get(ResilienceRegistry).get('stock');
    const release = policy.isolate();
    await round();
    expect(await statusOf('/health/ready')).toEqual([200, 'degraded']);
    release();
    await round();

    expect(await statusOf('/health/ready')).toEqual([200, 'ok']);
  });

  it('keeps its format under an exception filter of the app', async () => {
    @Catch()
    class Reformat implements ExceptionFilter {
      catch(): void {
        throw new Error('reformatted');
      }
    }
    await start([probe('redis', { status: 'down' }, true)], {}, [{ provide: APP_FILTER, useClass: Reformat }]);

    expect(await statusOf('/health')).toEqual([503, 'error']);
  });
});

describe('/health/ready', () => {
  it('is 503 when a critical probe is down for the second time in a row, and 200 after one good answer', async () => {
    const redis = probe('redis', {}, true);
    await start([redis]);
    const seen = [await statusOf('/health/ready')];
    for (const status of ['down', 'down', 'up'] as const) {
      redis.status = status;
      await round();
      seen.push(await statusOf('/health/ready'));
    }

    expect(seen).toEqual([
      [200, 'ok'],
      [200, 'degraded'],
      [503, 'error'],
      [200, 'ok'],
    ]);
  });

  it('does not wait for a probe that hangs: it counts as bad after 800 ms, and is not asked again while it hangs', async () => {
    const hanging = probe('redis', { hangs: true }, true);
    const other = probe('other');
    await start([hanging, other]);
    expect(await statusOf('/health/ready')).toEqual([503, 'starting']);
    await clock.advance(800);
    expect(await statusOf('/health/ready')).toEqual([503, 'error']);
    await round(5);

    expect(hanging.asked).toBe(1);
    expect(other.asked).toBeGreaterThan(4);
  });

  it('does not ask a probe per request', async () => {
    const redis = probe('redis');
    await start([redis]);
    await Promise.all(Array.from({ length: 20 }, () => ask('/health')));

    expect(redis.asked).toBe(1);
  });

  it('believes an answer for three intervals and no longer', async () => {
    const redis = probe('redis', {}, true);
    await start([redis], { details: 'always' });
    // The event loop stalls: time passes, but no timer has fired yet.
    const frozen = clock.monotonic();
    const monotonic = clock.monotonic.bind(clock);
    clock.monotonic = () => frozen + 15_001;
    const answer = await ask('/health');
    clock.monotonic = monotonic;

    expect([answer.status, answer.body]).toMatchObject([
      200,
      { status: 'degraded', details: { redis: { status: 'degraded', probe: 'unknown', details: {} } } },
    ]);
  });

  it('is 503 from the moment when the app stops, while live stays 200 and startup too', async () => {
    const redis = probe('redis');
    await start([redis]);
    app.get(ShutdownCoordinator).register({ name: 'slow', phase: 'readiness', stop: () => clock.sleep(1_000) });
    enableGracefulShutdown(app, { signals: false });
    const closing = app.close();
    await clock.settle();

    expect(await statusOf('/health/ready')).toEqual([503, 'shutting_down']);
    expect(await statusOf('/health')).toEqual([503, 'shutting_down']);
    expect(await statusOf('/health/live')).toEqual([200, 'ok']);
    expect(await statusOf('/health/startup')).toEqual([200, 'ok']);
    await clock.until(() => app.get(ShutdownCoordinator).phase === 'stopped');
    await closing;
    const { asked } = redis;
    await round(3);
    expect(redis.asked).toBe(asked);
  });

  it('gives up a question that runs when the app stops', async () => {
    const redis = probe('redis', { hangs: true });
    await start([redis]);
    await app.close();

    expect(clock.pendingTimers).toBe(0);
  });
});

describe('/health/startup', () => {
  it('is 503 until every part has started, then 200 for good', async () => {
    const cdc = probe('cdc', { isStarted: false });
    await start([cdc]);
    expect(await statusOf('/health/startup')).toEqual([503, 'starting']);
    expect(await statusOf('/health/ready')).toEqual([503, 'starting']);
    expect(await statusOf('/health/live')).toEqual([200, 'ok']);
    cdc.isStarted = true;
    expect(await statusOf('/health/startup')).toEqual([200, 'ok']);
    cdc.isStarted = false;

    expect(await statusOf('/health/startup')).toEqual([200, 'ok']);
    expect((await ask('/health/startup')).headers['cache-control']).toBe('no-store');
  });
});

describe('/health/live', () => {
  it('says ok whatever the probes say, never stored', async () => {
    await start([probe('redis', { status: 'down' }, true)]);
    const answer = await ask('/health/live');

    expect([answer.status, answer.body, answer.headers['cache-control']]).toEqual([200, { status: 'ok' }, 'no-store']);
  });
});

describe('HealthModule', () => {
  it('refuses two probes of one name at start, and takes one that is provided under two tokens once', async () => {
    await start([]);
    const shared = probe('shared');
    const boot = async (...probes: StubHealthProbe[]): Promise<INestApplication> => {
      @Module({
        imports: [ResilienceModule.forRoot({ clock }), HealthModule.forRoot()],
        providers: probes.map((useValue, index) => ({ provide: `probe ${index}`, useValue })),
      })
      class AppModule {}
      const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
      return module.createNestApplication({ logger: false }).init();
    };
    const once = await boot(shared, shared);
    await once.close();

    await expect(boot(shared, probe('shared'))).rejects.toThrow(DuplicateProbeError);
    await expect(boot(shared, probe('shared'))).rejects.toThrow('named "shared": StubHealthProbe, StubHealthProbe');
  });

  it.each<[object, RegExp]>([
    [{ detail: 'always' }, /detail/],
    [{ details: 'everybody' }, /"details": expected 'always'/],
    [{ timeoutMs: '800' }, /"timeoutMs": expected a number of milliseconds/],
    [{ badToDown: 0 }, /"badToDown": expected a whole number from 1 to 100/],
  ])('refuses %j at once and names the option', async (options, message) => {
    await start([]);

    expect(() => HealthModule.forRoot(options)).toThrow(ConfigurationError);
    expect(() => HealthModule.forRoot(options)).toThrow(message);
  });

  it('refuses a second forRoot in one app, and takes options from a factory', async () => {
    await start([]);
    const boot = async (...modules: ReturnType<typeof HealthModule.forRoot>[]): Promise<INestApplication> => {
      const module = await Test.createTestingModule({
        imports: [ResilienceModule.forRoot({ clock }), ...modules],
      }).compile();
      return module.createNestApplication({ logger: false }).init();
    };
    const configured = await boot(
      HealthModule.forRootAsync({ inject: [Clock], useFactory: () => ({ intervalMs: 100 }) }),
    );
    await configured.close();

    await expect(boot(HealthModule.forRoot(), HealthModule.forRoot())).rejects.toThrow(/more than once/);
  });
});
