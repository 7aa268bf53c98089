import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import {
  backoffDelayMs,
  Clock,
  ConfigurationError,
  type ConfigurationIssue,
  Random,
  type Timer,
} from '@smartpulse/resilience';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import {
  PULSAR_OPTIONS,
  type ProducerDefaults,
  type ResolvedPulsarOptions,
  type StartupOptions,
  type TopicProducerOptions,
} from '../pulsar.options.js';
import { createTransport } from '../transport/create-transport.js';
import type { PulsarTransport } from '../transport/pulsar.transport.js';
import { RECONNECT_BACKOFF, tryWithin } from './startup.js';
import { resolveTopicName } from '../transport/topic-name.js';

/** How the connection is. */
export type ConnectionState = 'idle' | 'connecting' | 'connected' | 'failed' | 'closed';

/** Resolved names that are kept; topics are configured, so that an app has far fewer. */
const MAX_TOPIC_NAMES = 10_000;

/** The app's one way to its broker: owns the transport that it made, borrows the one it was given. */
@Injectable()
export class PulsarConnection implements OnModuleInit {
  readonly #logger = new Logger(PulsarConnection.name);
  readonly #ownBroker: InProcessBroker | undefined;
  readonly #ownsTransport: boolean;
  readonly #topicNames = new Map<string, string>();
  readonly #startup: StartupOptions;
  readonly #time: { readonly clock: Clock; readonly random: Random };
  #connecting: Promise<void> | undefined;
  #timer: Timer | undefined;
  #state: ConnectionState = 'idle';

  /** The transport that messages travel by. */
  readonly transport: PulsarTransport;
  /** `tenant/namespace` of short topic names. */
  readonly namespace: string;

  constructor(
    @Inject(PULSAR_OPTIONS) options: ResolvedPulsarOptions,
    @Inject(Clock) clock: Clock,
    @Inject(Random) random: Random,
  ) {
    this.namespace = options.namespace;
    this.#startup = options.startup;
    this.#time = { clock, random };
    this.#ownBroker = options.transport === 'in-process' ? new InProcessBroker({ clock, random }) : undefined;
    this.#ownsTransport = typeof options.transport === 'string' || options.ownTransport;
    this.transport =
      this.#ownBroker === undefined
        ? createTransport(options, { clock, random })
        : new InProcessTransport(this.#ownBroker);
    this.#refuseWhatIsNotOffered(options.producer);
  }

  /** How the connection is now. */
  get state(): ConnectionState {
    return this.#state;
  }

  async onModuleInit(): Promise<void> {
    const { policy, timeoutMs } = this.#startup;
    try {
      await tryWithin(
        {
          ...this.#time,
          timeoutMs: policy === 'retry' ? timeoutMs : 0,
          isWanted: () => policy === 'retry',
          onFailed: (error, attempt) => this.#logger.warn(`Attempt ${attempt} to connect failed: ${String(error)}`),
        },
        () => this.ready(),
      );
    } catch (error) {
      if (policy !== 'continue') {
        throw error;
      }
      this.#logger.warn(`Not connected, goes on trying: ${String(error)}`);
      this.#keepTrying(1);
      return;
    }
    this.#logConnected();
  }

  #logConnected(): void {
    const { name, durable, shared } = this.transport;
    this.#logger.log(
      `Connected by the ${name} transport, namespace ${this.namespace}${durable ? '' : ', not durable'}${shared ? '' : ', not shared with other processes'}`,
    );
  }

  /** Connects once; a failed connection is tried again by the next call. */
  ready(): Promise<void> {
    if (this.#connecting === undefined) {
      this.#state = 'connecting';
      this.#connecting = this.transport.connect().then(
        () => {
          this.#state = this.#isClosed() ? 'closed' : 'connected';
        },
        (error: unknown) => {
          this.#state = this.#isClosed() ? 'closed' : 'failed';
          this.#connecting = undefined;
          throw error;
        },
      );
    }
    return this.#connecting;
  }

  /**
   * The full name of a topic: `persistent://tenant/namespace/topic`.
   *
   * @throws ConfigurationError when the name is no topic name.
   */
  topicName(name: string): string {
    const known = this.#topicNames.get(name);
    if (known !== undefined) {
      return known;
    }
    const result = resolveTopicName(name, this.namespace);
    if (result.problem !== undefined) {
      throw new ConfigurationError('PulsarConnection.topicName', [{ option: 'topic', problem: result.problem }]);
    }
    if (this.#topicNames.size >= MAX_TOPIC_NAMES) {
      this.#topicNames.clear();
    }
    this.#topicNames.set(name, result.topic);
    return result.topic;
  }

  /** Whether the app is meant to start without a connection, too. */
  get startsWithout(): boolean {
    return this.#startup.policy === 'continue';
  }

  #keepTrying(attempt: number): void {
    const { clock, random } = this.#time;
    this.#timer = clock.setTimer(backoffDelayMs(RECONNECT_BACKOFF, attempt, random), () => {
      this.#timer = undefined;
      void this.#tryAgain(attempt);
    });
  }

  async #tryAgain(attempt: number): Promise<void> {
    try {
      await this.ready();
      this.#logConnected();
    } catch (error) {
      if (!this.#isClosed()) {
        this.#logger.warn(`Attempt ${attempt} to connect in the background failed: ${String(error)}`);
        this.#keepTrying(attempt + 1);
      }
    }
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Closes what this connection owns. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === 'closed') {
      return;
    }
    this.#state = 'closed';
    this.#timer?.cancel();
    if (this.#ownsTransport) {
      await this.transport.close();
    }
    await this.#ownBroker?.close();
  }

  #refuseWhatIsNotOffered(producer: ProducerDefaults): void {
    const { transport } = this;
    const issues = [
      ...producerIssues('producer', producer, transport),
      ...Object.entries(producer.topics ?? {}).flatMap(([topic, options]) =>
        producerIssues(`producer.topics["${topic}"]`, options, transport),
      ),
    ];
    if (issues.length > 0) {
      throw new ConfigurationError('PulsarModule.forRoot', issues);
    }
  }
}

/** What the transport cannot do of what is asked for. */
function producerIssues(
  path: string,
  { batching, batchKeyed, compression, producerName, sendTimeoutMs }: Partial<TopicProducerOptions>,
  { name, capabilities }: PulsarTransport,
): ConfigurationIssue[] {
  const problems: readonly (readonly [keyof TopicProducerOptions, string | undefined])[] = [
    ['batching', batching === true && !capabilities.batching ? 'batches are' : undefined],
    ['batchKeyed', batchKeyed === 'by-key' && !capabilities.keyedBatching ? 'batches by key are' : undefined],
    ['sendTimeoutMs', sendTimeoutMs === 0 && !capabilities.endlessSends ? '0 (never) is' : undefined],
    [
      'compression',
      compression !== undefined && compression !== 'none' && !capabilities.compression.includes(compression)
        ? `${compression} is`
        : undefined,
    ],
    ['producerName', producerName !== undefined && !capabilities.deduplication ? 'deduplication is' : undefined],
  ];
  return problems
    .filter(([, what]) => what !== undefined)
    .map(([option, what]) => ({
      option: `${path}.${option}`,
      problem: `${what} not offered by the ${name} transport`,
    }));
}
