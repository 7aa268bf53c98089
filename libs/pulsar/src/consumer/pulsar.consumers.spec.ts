import { Inject, Injectable, type INestApplicationContext, Logger, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PulsarHealthProbe } from '../health/pulsar.health-probe.js';
import { injectedFault } from '../testing/fault-injecting.transport.js';
import { testModule, type TestAppParts } from '../testing/test-app.js';
import type { PulsarConsumerHandle } from './consumer-options.js';
import { PulsarConsumers } from './pulsar.consumers.js';

const TOPIC = 'persistent://public/default/t';
const opened: INestApplicationContext[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((app) => app.close()));
});

async function create(module: ReturnType<typeof testModule>['module']): Promise<INestApplicationContext> {
  const app = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
  opened.push(app);
  return app;
}

@Injectable()
class Registrar implements OnModuleInit {
  handle: PulsarConsumerHandle | undefined;
  stateInInit: string | undefined;
  stood: Promise<void> | undefined;

  constructor(@Inject(PulsarConsumers) readonly consumers: PulsarConsumers) {}

  async onModuleInit(): Promise<void> {
    this.handle = await this.consumers.register({ topic: 't', subscription: 's' }, () => undefined);
    this.stateInInit = this.handle.state.status;
    this.stood = this.handle.whenSubscribed();
  }
}

describe('PulsarConsumers.register', () => {
  it('may be awaited in onModuleInit: the consumer is there at once, its subscription when the app has started', async () => {
    const { module, broker } = testModule({ providers: [Registrar] });
    const app = await create(module);
    const registrar = app.get(Registrar);
    expect([registrar.stateInInit, registrar.handle?.state.status]).toEqual(['waiting', 'consuming']);
    await registrar.stood;
    expect(Object.keys(broker.stats(TOPIC).subscriptions)).toEqual(['s']);
    await app.get(PulsarConsumers).whenSubscribed();
    expect(app.get(PulsarHealthProbe).started()).toBe(true);
  });

  it('answers after the start only when the subscription exists', async () => {
    const { module, broker, clock, transport } = testModule();
    const app = await create(module);
    transport.plan = ({ point }) => (point === 'subscribe' ? clock.sleep(500).then(() => undefined) : undefined);
    let handle: PulsarConsumerHandle | undefined;
    const registered = app.get(PulsarConsumers).register({ topic: 't', subscription: 's' }, () => undefined);
    void registered.then((one) => (handle = one));
    await clock.settle();
    expect(handle).toBeUndefined();
    await clock.advance(500);
    await (await registered).whenSubscribed();
    expect(Object.keys(broker.stats(TOPIC).subscriptions)).toEqual(['s']);
  });

  it('fails the start, and those who wait for the subscription, when it cannot be made', async () => {
    const { module, transport } = testModule({ providers: [Registrar] });
    transport.plan = ({ point, topic }) => (point === 'subscribe' ? injectedFault(topic) : undefined);
    let registrar: Registrar | undefined;
    const init = vi.spyOn(Registrar.prototype, 'onModuleInit');
    const failed = create(module);
    await expect(failed).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INJECTED' });
    registrar = init.mock.contexts[0] as Registrar;
    await expect(registrar.stood).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INJECTED' });
    await expect(registrar.consumers.whenSubscribed()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INJECTED' });
  });

  it('tells those who wait for a subscription when its consumer is closed instead', async () => {
    const { module, clock, transport } = testModule();
    const app = await create(module);
    transport.plan = ({ point }) => (point === 'subscribe' ? clock.sleep(500).then(() => undefined) : undefined);
    const registered = app.get(PulsarConsumers).register({ topic: 't', subscription: 's' }, () => undefined);
    const [consumer] = app.get(PulsarConsumers).all;
    const waiting = consumer?.whenSubscribed();
    const closing = consumer?.close();
    await clock.advance(1_000);
    await closing;
    await registered;
    await expect(waiting).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CLOSED' });
  });
});

describe.each([
  ['PulsarConsumers.whenSubscribed', ({ consumers }: Registrar) => consumers.whenSubscribed()],
  ['whenSubscribed of a consumer', ({ handle }: Registrar) => handle?.whenSubscribed()],
])('%s awaited in onModuleInit', (_name, wait) => {
  it('is told by the log after ten seconds', async () => {
    const errors = vi.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    @Injectable()
    class Trapped extends Registrar {
      override async onModuleInit(): Promise<void> {
        await super.onModuleInit();
        await wait(this);
      }
    }
    const parts: TestAppParts = { providers: [Trapped] };
    const { module, clock } = testModule(parts);
    void create(module);
    await clock.advance(9_000);
    expect(errors).not.toHaveBeenCalled();
    await clock.advance(1_000);
    expect(errors).toHaveBeenCalledWith(expect.stringMatching(/10 s.*onModuleInit/));
    expect(clock.pendingTimers).toBe(0);
  });

  it('leaves no timer when the app starts in time', async () => {
    const { module, clock } = testModule({ providers: [Registrar] });
    const app = await create(module);
    await wait(app.get(Registrar));
    expect(clock.pendingTimers).toBe(0);
  });
});
