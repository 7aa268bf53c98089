import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PulsarClient } from '../client/pulsar-client.js';
import type { WireProducer } from '../producer/producer.options.js';
import { clientOf, finish as finishWith } from '../testing/fake-broker.client.js';
import { FakeBroker } from '../testing/fake-broker.js';

const TOPIC = 'persistent://public/default/orders';

describe('the way to the broker of a topic', () => {
  let clock: VirtualClock;
  let broker: FakeBroker;
  let client: PulsarClient;

  beforeEach(() => {
    clock = new VirtualClock();
  });
  afterEach(async () => {
    await finish(client.close());
    expect(clock.pendingTimers).toBe(0);
  });

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);

  async function producerOn(proxy: boolean): Promise<WireProducer> {
    broker = new FakeBroker({ proxy });
    client = clientOf(broker, { clock, random: new SeededRandom(1) }).client;
    return finish(client.createProducer({ topic: 'orders', batching: { enabled: false } }));
  }

  const send = (producer: WireProducer): Promise<unknown> => finish(producer.send({ payload: Buffer.from('x') }));
  /** What was dialled, and which broker was asked for behind it. */
  const ways = (): unknown[] =>
    broker.connections.map((connection) => [
      connection.address,
      connection.all('connect').map(({ proxyToBrokerUrl }) => proxyToBrokerUrl)[0],
    ]);

  it('goes to a successor through the proxy, where the brokers are behind one', async () => {
    const producer = await producerOn(true);
    broker.unload(TOPIC, 'pulsar://inside-2:6650');
    await send(producer);

    expect(ways()).toEqual([
      ['pulsar://broker:6650', undefined],
      ['pulsar://broker:6650', 'broker:6650'],
      ['pulsar://broker:6650', 'inside-2:6650'],
    ]);
    expect(broker.all('lookup')).toHaveLength(1);
  });

  it('still knows the proxy after a lookup that failed, which tells nothing of one', async () => {
    const producer = await producerOn(true);
    broker.script('lookup', (connection, { requestId }) => {
      connection.send('lookupResponse', { requestId, response: 2, message: 'Not now.' });
      return true;
    });
    await expect(finish(client.createProducer({ topic: 'unknown' }))).rejects.toThrow('No answer');
    broker.unscript('lookup');

    broker.unload(TOPIC, 'pulsar://inside-2:6650');
    await send(producer);

    expect(ways().at(-1)).toEqual(['pulsar://broker:6650', 'inside-2:6650']);
  });

  it.each(['http://inside-2:8080', 'pulsar://', 'no address'])(
    'looks the topic up when no address can be read in what a broker says of its successor: %s',
    async (url) => {
      const producer = await producerOn(false);
      broker.unload(TOPIC, url);
      await send(producer);

      expect(broker.all('lookup')).toHaveLength(2);
      expect(broker.all('producer')).toHaveLength(2);
    },
  );

  it('asks again while a lookup answers with no address that can be read', async () => {
    const producer = await producerOn(false);
    broker.brokerUrl = 'no address';
    broker.open.at(-1)?.cut();
    await clock.advance(2_000);
    broker.brokerUrl = 'pulsar://broker:6650';
    await send(producer);

    expect(broker.all('lookup').length).toBeGreaterThan(2);
  });

  it('lists the topics of a namespace, a partitioned one once', async () => {
    await producerOn(false);
    for (const topic of ['b-partition-0', 'b-partition-1', 'a', 'c-partition-x']) {
      broker.topic(`persistent://acme/grid/${topic}`);
    }
    expect(await finish(client.topics('acme/grid'))).toEqual(
      ['a', 'b', 'c-partition-x'].map((topic) => `persistent://acme/grid/${topic}`),
    );
    expect(await finish(client.topics('acme/other'))).toEqual([]);
    expect(broker.all('getTopicsOfNamespace').map(({ mode }) => mode)).toEqual([0, 0]);
  });
});
