import { type INestApplicationContext, Injectable } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { PulsarHealthProbe } from '../health/pulsar.health-probe.js';
import { PulsarPublisher, PulsarRegistry, PulsarSubscribe } from '../index.js';
import { type FaultPoint, injectedFault } from '../testing/fault-injecting.transport.js';
import { testModule, type TestAppParts } from '../testing/test-app.js';
import { PulsarConsumers } from './pulsar.consumers.js';

const opened: { app: INestApplicationContext; clock: VirtualClock }[] = [];

afterEach(async () => {
  for (const { app, clock } of opened.splice(0)) {
    const closing = app.close();
    await clock.advance(60_000);
    await closing;
    expect(clock.pendingTimers).toBe(0);
  }
});

@Injectable()
class Handler {
  readonly seen: unknown[] = [];
  @PulsarSubscribe({ topic: 't', subscription: 's', initialPosition: 'earliest' })
  handle(payload: unknown): void {
    this.seen.push(payload);
  }
}

/** An app whose `point` fails until it is mended. */
function create(point: FaultPoint, parts: TestAppParts) {
  const { module, clock, transport, broker } = testModule({ providers: [Handler], ...parts });
  let attempts = 0;
  transport.plan = (question) => (question.point === point ? (attempts++, injectedFault(question.topic)) : undefined);
  const starting = NestFactory.createApplicationContext(module, { logger: false, abortOnError: false }).then((app) => {
    opened.push({ app, clock });
    return app;
  });
  return {
    clock,
    broker,
    starting,
    attempts: () => attempts,
    mend: () => (transport.plan = () => undefined),
    transport,
  };
}

describe.each<FaultPoint>(['connect', 'subscribe'])('an app whose %s fails at start', (point) => {
  it('does not start by default', async () => {
    const { starting, attempts } = create(point, {});
    await expect(starting).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INJECTED' });
    expect(attempts()).toBe(1);
  });

  it('with retry tries within its time and starts when that succeeds', async () => {
    const { starting, attempts, mend, clock } = create(point, { options: { startup: { policy: 'retry' } } });
    await clock.advance(2_000);
    expect(attempts()).toBeGreaterThan(2);
    mend();
    await clock.advance(5_000);
    const app = await starting;
    expect(app.get(PulsarHealthProbe).check().status).toBe('up');
  });

  it('with retry gives up when its time is used up', async () => {
    const { starting, clock } = create(point, { options: { startup: { policy: 'retry', timeoutMs: 3_000 } } });
    const failed = expect(starting).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INJECTED' });
    await clock.advance(3_000);
    await failed;
    expect(clock.pendingTimers).toBe(0);
  });

  it('with continue starts, says so in its health, and consumes and publishes as soon as the broker lets it', async () => {
    const { starting, attempts, mend, clock } = create(point, { options: { startup: { policy: 'continue' } } });
    const app = await starting;
    const probe = app.get(PulsarHealthProbe);
    const [consumer] = app.get(PulsarRegistry).list();
    let stands = false;
    void consumer?.whenSubscribed().then(() => (stands = true));
    expect(probe.started()).toBe(true);
    expect(probe.check().status).toBe(point === 'connect' ? 'down' : 'degraded');
    expect(consumer?.state.status).toBe('reconnecting');
    await clock.advance(10_000);
    expect(attempts()).toBeGreaterThan(3);
    expect(stands).toBe(false);
    mend();
    await clock.advance(30_000);
    expect([stands, consumer?.state.status, probe.check().status]).toEqual([true, 'consuming', 'up']);
    await app.get(PulsarPublisher).publish('t', 1);
    await clock.advance(100);
    expect(app.get(Handler).seen).toEqual([1]);
  });

  it('with continue can be stopped while it is still trying', async () => {
    const { starting, clock } = create(point, { options: { startup: { policy: 'continue' } } });
    await starting;
    await clock.advance(1_000);
  });
});

describe('a startup policy of one handler', () => {
  it('holds for it alone', async () => {
    @Injectable()
    class Optional {
      @PulsarSubscribe({ topic: 'maybe', subscription: 's', startup: { policy: 'continue' } })
      handle(): void {
        // Nothing comes.
      }
    }
    const { starting, transport, clock } = create('connect', { providers: [Handler, Optional] });
    transport.plan = ({ point, topic }) =>
      point === 'subscribe' && topic.endsWith('/maybe') ? injectedFault(topic) : undefined;
    const app = await starting;
    await clock.advance(1_000);
    expect(
      app
        .get(PulsarRegistry)
        .list()
        .map(({ topic, state }) => [topic.slice(-5), state.status]),
    ).toEqual([
      ['ult/t', 'consuming'],
      ['maybe', 'reconnecting'],
    ]);
  });
});

describe('a consumer with autoStart: false', () => {
  it('is listed and waits, also when the app has started, until it is told to start', async () => {
    const { starting, mend, broker, clock } = create('connect', {});
    mend();
    const app = await starting;
    const seen: unknown[] = [];
    const handle = await app
      .get(PulsarConsumers)
      .register({ topic: 'u', subscription: 'later', autoStart: false }, (payload) => void seen.push(payload));
    expect(app.get(PulsarRegistry).get(handle.id)?.state.status).toBe('waiting');
    expect(app.get(PulsarHealthProbe).started()).toBe(true);
    await app.get(PulsarConsumers).whenSubscribed();
    await Promise.all([handle.start(), handle.start()]);
    await handle.whenSubscribed();
    expect(Object.keys(broker.stats('persistent://public/default/u').subscriptions)).toEqual(['later']);
    await app.get(PulsarPublisher).publish('u', 1);
    await clock.advance(100);
    expect([seen, handle.state.status]).toEqual([[1], 'consuming']);
  });

  it('takes a pause before its start: it subscribes and handles nothing until it is resumed', async () => {
    const { starting, mend, clock } = create('connect', {});
    mend();
    const app = await starting;
    const seen: unknown[] = [];
    const handle = await app
      .get(PulsarConsumers)
      .register({ topic: 'u', subscription: 'later', autoStart: false }, (payload) => void seen.push(payload));
    handle.pause();
    expect(handle.state.status).toBe('waiting');
    await handle.start();
    expect(handle.state.status).toBe('paused');
    await app.get(PulsarPublisher).publish('u', 1);
    await clock.advance(1_000);
    expect(seen).toEqual([]);
    handle.resume();
    await clock.advance(1_000);
    expect([seen, handle.state.status]).toEqual([[1], 'consuming']);
    handle.pause();
    handle.resume();
    await app.get(PulsarPublisher).publish('u', 2);
    await clock.advance(1_000);
    expect(seen).toEqual([1, 2]);
  });

  it('stays when its start fails, and may be started again', async () => {
    const { starting, mend, transport } = create('connect', {});
    mend();
    const app = await starting;
    const handle = await app
      .get(PulsarConsumers)
      .register({ topic: 'u', subscription: 'later', autoStart: false }, () => undefined);
    transport.plan = ({ point, topic }) => (point === 'subscribe' ? injectedFault(topic) : undefined);
    await expect(handle.start()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INJECTED' });
    expect(handle.state.status).toBe('waiting');
    mend();
    await handle.start();
    expect(handle.state.status).toBe('consuming');
  });

  it('that was never started closes with the app, and tells who waits', async () => {
    const { starting, mend } = create('connect', {});
    mend();
    const app = await starting;
    const handle = await app
      .get(PulsarConsumers)
      .register({ topic: 'u', subscription: 'later', autoStart: false }, () => undefined);
    const waiting = handle.whenSubscribed();
    await handle.close();
    await expect(waiting).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CLOSED' });
    await expect(handle.start()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CLOSED' });
    expect(app.get(PulsarRegistry).get(handle.id)).toBeUndefined();
  });
});
