import type { PulsarErrorCode, PulsarTls, PulsarToken, PulsarTransport } from '@smartpulse/pulsar';
import { brokerFixture, type OperatorAct, type PulsarTransportFixture } from '@smartpulse/pulsar/testing';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { FaultProxy } from '../../support/fault-proxy/fault-proxy.js';
import type { PulsarRuntime } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { brokerControl, OPERATOR_ACTS } from './broker-control.js';

/** Where a transport goes, and how. */
export interface Way {
  readonly url: string;
  readonly token?: PulsarToken | undefined;
  readonly tls?: PulsarTls | undefined;
}

/** One transport, and where it finds a broker. */
export interface TransportUnderTest {
  readonly make: (
    way: Way,
    limits: { readonly connectTimeoutMs: number; readonly operationTimeoutMs: number },
  ) => PulsarTransport;
  readonly plain: (pulsar: PulsarStandalone) => string;
  readonly encrypted: (pulsar: PulsarStandalone) => string;
  /** Sends again by itself what was on its way. @defaultValue false */
  readonly resends?: boolean;
  /** The broker drops what a producer sends twice. @defaultValue true */
  readonly deduplication?: boolean;
  /** What it says when the broker lets it not in. @defaultValue SMARTPULSE_PULSAR_AUTHENTICATION */
  readonly notLetIn?: PulsarErrorCode;
}

/** Everything that the suite may ask for. */
export const WORLD_ACTS: readonly OperatorAct[] = [...OPERATOR_ACTS, 'cuts', 'restarts', 'tokens', 'roles', 'tls'];

/** Patient enough for a broker that is killed and started again meanwhile. */
const PATIENT = { connectTimeoutMs: 10_000, operationTimeoutMs: 60_000 };
const BRISK = { connectTimeoutMs: 5_000, operationTimeoutMs: 5_000 };
const GUARDED = 'wind/north';

/** A real broker that asks who is there, behind a line that can be cut. */
export class BrokerWorld implements AsyncDisposable {
  readonly #random = new SystemRandom();
  #topics = 0;

  private constructor(
    private readonly transport: TransportUnderTest,
    private readonly pulsar: PulsarStandalone,
    private readonly proxy: FaultProxy,
  ) {}

  static async of(runtime: PulsarRuntime, transport: TransportUnderTest): Promise<BrokerWorld> {
    const pulsar = await PulsarStandalone.start(runtime, {
      authentication: true,
      // Its address is not in the certificate.
      tls: ['localhost'],
      deduplication: transport.deduplication ?? true,
    });
    await pulsar.admin.createTenant('wind');
    await pulsar.admin.createNamespace(GUARDED);
    await pulsar.admin.grant(GUARDED, 'writer', ['produce']);
    // What a lookup answers leads around the proxy, except on a standalone, which says that it is one itself.
    return new BrokerWorld(transport, pulsar, await FaultProxy.before(transport.plain(pulsar)));
  }

  fixture(): PulsarTransportFixture {
    const { transport, pulsar, proxy } = this;
    const token = pulsar.token({ subject: 'admin' });
    const encrypted = transport.encrypted(pulsar);
    const tls = { ca: pulsar.tls.authority };
    const lines = {
      plain: { url: transport.plain(pulsar) },
      trusted: { url: encrypted, tls },
      'unknown authority': { url: encrypted },
      'wrong name': { url: encrypted.replace('localhost', '127.0.0.1'), tls },
    };
    const tokens = {
      owner: () => token,
      producer: () => pulsar.token({ subject: 'writer' }),
      stranger: () => pulsar.token({ subject: 'stranger' }),
      forged: () => `${token}x`,
      expired: () => pulsar.token({ subject: 'admin', expiresInSeconds: -60 }),
    };
    return brokerFixture({
      resends: transport.resends,
      clock: new SystemClock(),
      random: this.#random,
      create: () => transport.make({ url: proxy.url, token }, PATIENT),
      broker: {
        ...brokerControl(pulsar.admin),
        cut: async () => proxy.cut(),
        kill: () => pulsar.kill(),
        restart: () => pulsar.restart(),
      },
      access: {
        notLetIn: transport.notLetIn,
        topic: () => `persistent://${GUARDED}/guarded-${this.#topics++}`,
        token: (holder) => tokens[holder](),
        transport: ({ token: given, line = 'plain' }) => transport.make({ ...lines[line], token: given }, BRISK),
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
    await this.pulsar.stop();
  }
}
