import { BrokerRefusedError, REFUSAL } from '../connection/broker-error.js';
import type { Connection } from '../connection/connection.js';
import type { ConnectionPool, ConnectionTarget } from '../connection/connection-pool.js';
import { addressUrl, type BrokerAddress, brokerAddresses } from '../connection/service-url.js';
import { ConnectionError } from '../client/client.errors.js';
import type { Random } from '../client/time.js';
import { LOOKUP_TYPE, TOPIC_MODE } from '../protocol/command/enumerations.js';
import { InvalidServiceUrlError, type WireError } from '../pulsar-wire.errors.js';
import { Semaphore } from './semaphore.js';

/** Redirects followed in one lookup: more are a circle. */
const MAX_REDIRECTS = 20;

/** Brokers list the partitions of a topic. */
const PARTITION = /-partition-\d+$/;

/** Finds the broker that serves a topic, and how many partitions a topic has. Keeps nothing: topics move. */
export class LookupService {
  readonly #slots: Semaphore;
  #next: number;
  /** What the last lookup said that was answered: whoever reaches the brokers through a proxy may have no other way to them. */
  #isProxied = false;

  /** @param addresses the service URL's, at least one. */
  constructor(
    private readonly pool: ConnectionPool,
    private readonly addresses: readonly BrokerAddress[],
    maxConcurrentLookups: number,
    random: Random,
  ) {
    this.#slots = new Semaphore(maxConcurrentLookups);
    this.#next = Math.floor(random.next() * addresses.length);
  }

  /**
   * A connection to the broker that serves the topic.
   *
   * @param slot which of the client's connections to that broker.
   * @param brokerUrl the broker that the former one named as its successor: the lookup is left out, unless no address can be read in it.
   */
  async connect(topic: string, slot: number, brokerUrl?: string): Promise<Connection> {
    const broker = addressIn(brokerUrl);
    if (broker === undefined) {
      return this.#slots.run(() => this.#lookup(topic, slot));
    }
    return this.pool.get({ ...this.#target(broker, await this.#proxy()), slot });
  }

  /** Makes a connection to the service URL, unless there is one. */
  async connectService(): Promise<void> {
    await this.#service();
  }

  /** How many partitions the topic has; 0 = it is not partitioned. */
  partitions(topic: string): Promise<number> {
    return this.#slots.run(async () => {
      const connection = await this.#service();
      const answer = await connection.request(
        'partitionedMetadata',
        // As the official clients do: a namespace may create topics, partitioned ones too, when they are first asked for.
        (requestId) => ({ topic, requestId, metadataAutoCreationEnabled: true }),
        'partitionedMetadataResponse',
      );
      return answer.partitions ?? 0;
    });
  }

  /** Full names of the stored topics of a namespace, a partitioned one once. */
  topics(namespace: string): Promise<readonly string[]> {
    return this.#slots.run(async () => {
      const connection = await this.#service();
      const { topics } = await connection.request(
        'getTopicsOfNamespace',
        (requestId) => ({ requestId, namespace, mode: TOPIC_MODE.persistent }),
        'getTopicsOfNamespaceResponse',
      );
      return [...new Set(topics.map((topic) => topic.replace(PARTITION, '')))].toSorted();
    });
  }

  /** A connection to the service URL: the first of its addresses that answers, another one after a failure. */
  async #service(): Promise<Connection> {
    let last: WireError | undefined;
    for (let tried = 0; tried < this.addresses.length; tried++) {
      const address = this.addresses[this.#next % this.addresses.length];
      if (address === undefined) {
        break;
      }
      try {
        return await this.pool.get({ address });
      } catch (error) {
        if (!ConnectionError.is(error)) {
          throw error;
        }
        last = error;
        this.#next = (this.#next + 1) % this.addresses.length;
      }
    }
    throw last ?? new ConnectionError('the service URL', 'has no address');
  }

  async #lookup(topic: string, slot: number): Promise<Connection> {
    let connection = await this.#service();
    const service = this.#addressOf(connection);
    let authoritative = false;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const answer = await connection.request(
        'lookup',
        (requestId) => ({ topic, requestId, authoritative }),
        'lookupResponse',
      );
      const { response, error, message, proxyThroughServiceUrl } = answer;
      if (response === LOOKUP_TYPE.failed || response === undefined) {
        throw new BrokerRefusedError('lookup', error ?? REFUSAL.Metadata, message ?? 'no reason given');
      }
      this.#isProxied = proxyThroughServiceUrl === true;
      const broker = addressIn(connection.tls ? answer.brokerServiceUrlTls : answer.brokerServiceUrl);
      if (broker === undefined) {
        throw new BrokerRefusedError('lookup', REFUSAL.Metadata, `no usable address of the broker of ${topic}`);
      }
      const target = this.#target(broker, this.#isProxied ? service : undefined);
      if (response === LOOKUP_TYPE.connect) {
        return this.pool.get({ ...target, slot });
      }
      connection = await this.pool.get(target);
      authoritative = answer.authoritative ?? false;
    }
    throw new BrokerRefusedError('lookup', REFUSAL.Metadata, `more than ${MAX_REDIRECTS} redirects`);
  }

  /** The service address that the brokers are behind. */
  async #proxy(): Promise<BrokerAddress | undefined> {
    return this.#isProxied ? this.#addressOf(await this.#service()) : undefined;
  }

  #addressOf(connection: Connection): BrokerAddress | undefined {
    return this.addresses.find((address) => addressUrl(address) === connection.address);
  }

  /** A proxy, and a standalone, is dialled again for each broker behind it. */
  #target(broker: BrokerAddress, proxy: BrokerAddress | undefined): ConnectionTarget {
    return proxy === undefined ? { address: broker } : { address: proxy, broker };
  }
}

/** The first address of what a broker says; undefined when there is none that can be read: another answer may follow, and a lookup tells for sure. */
function addressIn(url: string | undefined): BrokerAddress | undefined {
  try {
    return url === undefined || url === '' ? undefined : brokerAddresses(url)[0];
  } catch (error) {
    if (InvalidServiceUrlError.is(error)) {
      return undefined;
    }
    throw error;
  }
}
