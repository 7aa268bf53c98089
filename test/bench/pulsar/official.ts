import { nativeClient } from '../pulsar-transports/native-client.ts';
import { NotHere as NoWay } from '../pulsar-transports/way.ts';
import type { Settings } from './job.ts';
import { Milestone, NotHere, type Subject } from './subject.ts';

/** The official client in a bare loop, without Nest; its addon does not load everywhere. */
export async function officialSubject(settings: Settings): Promise<Subject> {
  const way = await nativeClient(settings).catch((error: unknown) => {
    throw error instanceof NoWay ? new NotHere(error.message, { cause: error }) : error;
  });
  return {
    sender: async (topic) => {
      const producer = await way.createProducer(topic);
      return { send: (payload) => producer.send(payload), close: () => producer.close() };
    },
    receiver: async (topic, subscription, onMessage) => {
      const acknowledged = new Milestone();
      const { promise: failed, reject } = Promise.withResolvers<never>();
      const consumer = await way.subscribe(topic, subscription, (message, payload) => {
        onMessage(payload);
        consumer.ack(message).then(() => acknowledged.passed(), reject);
      });
      return {
        settled: (messages) => Promise.race([failed, acknowledged.reached(messages)]),
        close: () => consumer.close(),
      };
    },
    close: () => way.close(),
  };
}
