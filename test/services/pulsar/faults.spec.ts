import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../support/fault-proxy/fault-proxy.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { type TransportName, transportTo } from '../../support/pulsar/transports.js';
import { brokerWorld, type FaultWorld } from '../../support/pulsar-faults/fault-world.js';
import { Ledger, type Numbered } from '../../support/pulsar-faults/ledger.js';
import { moduleFaults } from '../../support/pulsar-faults/module-faults.js';
import { missingAddon, WITHOUT_ADDON } from '../../support/pulsar/native-addon.js';

const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

const transports: readonly { readonly name: TransportName; readonly url: () => string }[] = [
  { name: 'wire', url: () => pulsar.serviceUrl },
  { name: 'websocket', url: () => pulsar.webSocketUrl },
  ...(missingAddon === undefined ? [{ name: 'native' as const, url: () => pulsar.serviceUrl }] : []),
];

if (missingAddon !== undefined) {
  it.skip(WITHOUT_ADDON);
}

/** Near apps are connected to the broker, the others by the proxy. */
const worldBehind = (proxy: FaultProxy, name: TransportName, url: string, onCut: () => void): FaultWorld =>
  brokerWorld({
    connect: (place) => transportTo(name, place === 'near' ? url : proxy.url),
    cut: () => {
      onCut();
      proxy.cut();
    },
    broker: {
      kill: () => pulsar.kill(),
      restart: () => pulsar.restart(),
      partition: (topic, count) => pulsar.admin.createTopic(`public/default/${topic}`, count),
    },
  });

describe.runIf(runtime !== undefined)('every stored message is handled or given up, in the order of its key', () => {
  beforeAll(async () => {
    Logger.overrideLogger(false);
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
    Logger.overrideLogger(true);
  });

  describe.each(transports)('by $name', ({ name, url }) => {
    it.each(moduleFaults)('with $title', { timeout: 120_000 }, async ({ run }) => {
      await using proxy = await FaultProxy.before(url());
      let cuts = 0;
      const world = worldBehind(proxy, name, url(), () => cuts++);
      try {
        await run(world);
        expect(proxy.accepted).toBeGreaterThan(cuts);
      } finally {
        await world.close();
      }
    });
  });

  it.each([
    { lost: 'acknowledgements', direction: 'toServer', until: 'the line comes back' },
    { lost: 'acknowledgements', direction: 'toServer', until: 'another app takes over' },
    { lost: 'answers to acknowledgements', direction: 'toClient', until: 'the line comes back' },
  ] as const)(
    'with $lost that are swallowed until $until, by wire',
    { timeout: 60_000 },
    async ({ direction, until }) => {
      await using proxy = await FaultProxy.before(pulsar.serviceUrl);
      const world = worldBehind(proxy, 'wire', pulsar.serviceUrl, () => {});
      try {
        const [topic, ledger] = [world.topic(), new Ledger()];
        const backlog = async (): Promise<number | undefined> =>
          (await pulsar.admin.topicStats(`public/default/${topic}`)).subscriptions['s']?.msgBacklog;
        const [faulty, calm] = [await world.start(), await world.start({}, 'near')];
        let release = (): void => {};
        const held = new Promise<void>((resolve) => (release = resolve));
        const options = { topic, subscription: 's', type: 'Key_Shared', concurrency: 4 } as const;
        const handle = await faulty.consumers.register<Numbered>(
          options,
          ledger.handler(() => held),
        );
        await ledger.publish(calm.publisher, topic, 4);
        await world.until(() => ledger.starts.length === 4, 'all handlers run');
        // Nothing else is on its way: what is swallowed are the acknowledgements, or their answers.
        proxy.silence(direction);
        release();
        await world.until(() => ledger.done.length === 4, 'all are handled');
        // What got through has been stored, and nothing comes back, however long that is waited for.
        const left = direction === 'toServer' ? 4 : 0;
        await expect.poll(backlog, { timeout: 10_000 }).toBe(left);
        await world.pass(300);
        expect({ acked: handle.stats().acked, backlog: await backlog() }).toEqual({ acked: 0, backlog: left });

        const isGone = until === 'another app takes over';
        proxy.refuse(isGone);
        await world.cut();
        if (isGone) {
          await calm.consumers.register<Numbered>(
            options,
            ledger.handler(() => undefined),
          );
          await world.until(() => ledger.duplicates === 4, 'what nobody acknowledged came again');
          proxy.calm();
        }
        await ledger.publish(calm.publisher, topic, 4);
        await world.until(() => ledger.open.length === 0 && handle.stats().inFlight === 0, 'all is handled');
        await expect.poll(backlog, { timeout: 10_000 }).toBe(0);
        // An acknowledgement without an answer is sent again as soon as there is a connection, before anything can come again by it.
        ledger.check({ duplicates: isGone ? 4 : 0, order: 'firsts' });
      } finally {
        await world.close();
      }
    },
  );
});
