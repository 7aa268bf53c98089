import {
  PulsarError,
  type PulsarErrorCode,
  type PulsarTls,
  type PulsarToken,
  type PulsarTransport,
} from '@smartpulse/pulsar';
import { NativeTransport } from '@smartpulse/pulsar/native';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { WireTransport } from '@smartpulse/pulsar/wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { missingAddon, WITHOUT_ADDON } from '../../support/pulsar/native-addon.js';

const clock = new SystemClock();
const random = new SystemRandom();
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

interface Access {
  readonly url: string;
  readonly token?: PulsarToken | undefined;
  readonly tls?: PulsarTls | undefined;
}

interface TransportUnderTest {
  readonly name: string;
  readonly make: (access: Access) => PulsarTransport;
  readonly plain: () => string;
  readonly encrypted: () => string;
  /** What it says when the broker lets it not in. @defaultValue SMARTPULSE_PULSAR_AUTHENTICATION */
  readonly refused?: PulsarErrorCode;
}

/** Each transport that has a broker: how it is made, and where its plain and its TLS port are. */
const everyTransport: readonly TransportUnderTest[] = [
  {
    name: 'wire',
    make: ({ url, token, tls }) =>
      new WireTransport({ url, token, tls, connectTimeoutMs: 5_000, operationTimeoutMs: 5_000 }, { clock, random }),
    plain: () => pulsar.serviceUrl,
    encrypted: () => pulsar.tls.serviceUrl,
  },
  {
    name: 'websocket',
    make: ({ url, token, tls }) =>
      new WebSocketTransport(
        { url, token, tls, connectTimeoutMs: 5_000, operationTimeoutMs: 5_000 },
        { clock, random },
      ),
    plain: () => pulsar.webSocketUrl,
    encrypted: () => pulsar.tls.webSocketUrl,
  },
  {
    name: 'native',
    make: ({ url, token, tls }) =>
      new NativeTransport({ url, token, tls, connectTimeoutMs: 5_000, operationTimeoutMs: 5_000 }, { clock }),
    plain: () => pulsar.serviceUrl,
    encrypted: () => pulsar.tls.serviceUrl,
    // The official client tries again until its time is over, and does not tell why.
    refused: 'SMARTPULSE_PULSAR_CONNECTION',
  },
];
const transports = everyTransport.filter(({ name }) => name !== 'native' || missingAddon === undefined);

const made: PulsarTransport[] = [];

if (missingAddon !== undefined) {
  it.skip(WITHOUT_ADDON);
}

describe.runIf(runtime !== undefined)('on a real broker that asks who is there and takes small messages only', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime, {
        authentication: true,
        tls: ['localhost'],
        maxMessageBytes: 65_536,
      });
      await pulsar.admin.createTenant('wind');
      await pulsar.admin.createNamespace('wind/north');
      await pulsar.admin.grant('wind/north', 'writer', ['produce']);
    }
  });
  afterEach(async () => {
    await Promise.all(made.splice(0).map((transport) => transport.close()));
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  describe.each(transports)('the $name transport', (transport) => {
    const { make, plain, encrypted, refused: notLetIn = 'SMARTPULSE_PULSAR_AUTHENTICATION' } = transport;
    const topic = 'persistent://wind/north/who';

    async function publish(access: Access, payload: Uint8Array = Buffer.from('x')): Promise<string> {
      const transport = make(access);
      made.push(transport);
      await transport.connect();
      const producer = await transport.createProducer({
        topic,
        batching: { enabled: false, maxMessages: 1, maxBytes: 1_000, maxDelayMs: 0 },
        maxPendingMessages: 10,
        maxPendingBytes: 10_000_000,
        compression: 'none',
        sendTimeoutMs: 5_000,
      });
      await producer.send({ payload });
      return 'stored';
    }

    async function subscribe(access: Access): Promise<string> {
      const transport = make(access);
      made.push(transport);
      await transport.connect();
      await transport.subscribe(
        { topic, subscription: 's', type: 'Shared', initialPosition: 'earliest', durable: true },
        { onMessage: () => {}, onClosed: () => {} },
      );
      return 'subscribed';
    }

    const refused = async (work: Promise<string>, code: PulsarErrorCode): Promise<void> => {
      const error: unknown = await work.catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(PulsarError);
      expect((error as PulsarError).code).toBe(code);
      expect(String(error)).not.toMatch(/eyJ/);
    };

    it('is let in with a token, given as a text, a function or a promise', async () => {
      const token = pulsar.token({ subject: 'admin' });
      expect(await publish({ url: plain(), token })).toBe('stored');
      expect(await publish({ url: plain(), token: () => token })).toBe('stored');
      expect(await publish({ url: plain(), token: () => Promise.resolve(token) })).toBe('stored');
    });

    it(`says ${notLetIn} without a token, with a wrong one and with an expired one`, async () => {
      const wrong = `${pulsar.token({ subject: 'admin' })}x`;
      const expired = pulsar.token({ subject: 'admin', expiresInSeconds: -60 });
      for (const token of [undefined, wrong, expired]) {
        await refused(publish({ url: plain(), token }), notLetIn);
      }
    });

    it('says that authorisation failed where the role may not', async () => {
      await refused(
        publish({ url: plain(), token: pulsar.token({ subject: 'stranger' }) }),
        'SMARTPULSE_PULSAR_AUTHORIZATION',
      );
      const token = pulsar.token({ subject: 'writer' });
      expect(await publish({ url: plain(), token })).toBe('stored');
      await refused(subscribe({ url: plain(), token }), 'SMARTPULSE_PULSAR_AUTHORIZATION');
    });

    it('asks for the token again at each connection', async () => {
      let asked = 0;
      const token = (): string => {
        asked++;
        return pulsar.token({ subject: 'admin', expiresInSeconds: 60 });
      };
      await publish({ url: plain(), token });
      await publish({ url: plain(), token });
      expect(asked).toBeGreaterThanOrEqual(2);
    });

    it('refuses a message above what this broker takes, and keeps the connection for the others', async () => {
      const access = { url: plain(), token: pulsar.token({ subject: 'admin' }) };
      await refused(publish(access, new Uint8Array(100_000)), 'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE');
      expect(await publish(access, new Uint8Array(60_000))).toBe('stored');
    });

    it('speaks TLS to a broker whose authority it trusts', async () => {
      const token = pulsar.token({ subject: 'admin' });
      expect(await publish({ url: encrypted(), token, tls: { ca: pulsar.tls.authority } })).toBe('stored');
    });

    it('refuses a certificate of an authority that it does not know, and one of another host', async () => {
      const token = pulsar.token({ subject: 'admin' });
      await refused(publish({ url: encrypted(), token }), 'SMARTPULSE_PULSAR_CONNECTION');
      const otherHost = encrypted().replace('localhost', '127.0.0.1');
      await refused(
        publish({ url: otherHost, token, tls: { ca: pulsar.tls.authority } }),
        'SMARTPULSE_PULSAR_CONNECTION',
      );
    });
  });
});
