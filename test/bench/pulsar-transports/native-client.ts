import { type Settings } from './job.ts';
import { NotHere, type Way } from './way.ts';

/** What is used of the official client for Node; its package is not pinned here, because its addon does not install everywhere. */
interface NativeModule {
  readonly Client: new (options: { readonly serviceUrl: string }) => {
    createProducer(options: object): Promise<{
      send(message: { readonly data: Buffer }): Promise<unknown>;
      close(): Promise<unknown>;
    }>;
    subscribe(options: object): Promise<NativeConsumer>;
    close(): Promise<unknown>;
  };
}

interface NativeConsumer {
  receive(): Promise<NativeMessage>;
  acknowledge(message: NativeMessage): Promise<unknown>;
  close(): Promise<unknown>;
}

interface NativeMessage {
  getData(): Buffer;
}

/** Receives on the way at once. A listener, which serves one message at a time, is less than half as fast; more receives are no faster. */
const RECEIVES = 10;

export async function nativeClient(settings: Settings): Promise<Way<NativeMessage>> {
  const { Client } = await load();
  const client = new Client({ serviceUrl: settings.serviceUrl });
  return {
    createProducer: async (topic) => {
      const producer = await client.createProducer({
        topic,
        batchingEnabled: true,
        batchingMaxMessages: settings.batchMessages,
        batchingMaxAllowedSizeInBytes: settings.batchBytes,
        batchingMaxPublishDelayMs: settings.lingerMs,
        maxPendingMessages: settings.window,
        blockIfQueueFull: true,
      });
      return {
        send: (payload) => producer.send({ data: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength) }),
        close: () => producer.close(),
      };
    },
    subscribe: async (topic, subscription, onMessage) => {
      const consumer = await client.subscribe({
        topic,
        subscription,
        subscriptionType: 'Shared',
        subscriptionInitialPosition: 'Earliest',
        receiverQueueSize: settings.window,
      });
      let isOpen = true;
      const receive = (): void => {
        consumer.receive().then(
          (message) => {
            onMessage(message, message.getData());
            if (isOpen) {
              receive();
            }
          },
          (error: unknown) => {
            // Those that are on the way when it closes end so.
            if (isOpen) {
              throw error;
            }
          },
        );
      };
      for (let at = 0; at < RECEIVES; at++) {
        receive();
      }
      return {
        // Its receiver queue allows for itself.
        permit: () => {},
        ack: (message) => consumer.acknowledge(message),
        close: () => {
          isOpen = false;
          return consumer.close();
        },
      };
    },
    close: () => client.close(),
  };
}

async function load(): Promise<NativeModule> {
  const name: string = 'pulsar-client';
  try {
    const loaded = (await import(name)) as NativeModule & { readonly default?: NativeModule };
    return loaded.default ?? loaded;
  } catch (error) {
    throw new NotHere(
      `its addon does not load here (npm install --no-save pulsar-client in test/bench): ${String(error).split('\n')[0]}`,
      { cause: error },
    );
  }
}
