import type { FactoryProvider, ModuleMetadata } from '@nestjs/common';
import { z } from 'zod';
import { type ProvisionOptions, provisionSchema } from './admin/provision-options.js';
import type { DeclaredEvent } from './asyncapi/async-api-document.js';
import type { RetryBackoff } from './consumer/consumer-options.js';
import type { InitialPosition, SubscriptionType, TransportProducerOptions } from './transport/pulsar.transport.js';
import { PulsarTransport } from './transport/pulsar.transport.js';

/** The transports that are built in. */
export type TransportName = 'in-process' | 'wire' | 'native' | 'websocket';

/** How the producer of one topic sends. */
export interface TopicProducerOptions {
  /** Collects messages into batches. Default `true`. */
  readonly batching: boolean;
  /** Messages in a batch at most. Default 100. */
  readonly batchMaxMessages: number;
  /** Payload bytes in a batch at most. Default 131,072. */
  readonly batchMaxBytes: number;
  /** How long a message waits for others, milliseconds. Default 100. */
  readonly batchMaxDelayMs: number;
  /**
   * Which messages share a batch. `by-key`: those of one key, so that `Key_Shared` spreads them. `mixed`: all, in the order of the calls, as with the
   * Java client; with many keys a fraction of the work, here and at the broker, and wrong where `Key_Shared` reads the topic. Default `by-key`;
   * `mixed` where the transport knows nothing else.
   */
  readonly batchKeyed: 'by-key' | 'mixed';
  /** Sends of one producer that await the broker; further ones wait in `publish`. Default 500. */
  readonly maxPendingMessages: number;
  /** Payload bytes of those sends; further ones wait, one larger message goes alone. Default 67,108,864 (64 MiB). */
  readonly maxPendingBytes: number;
  /** Publishes of one topic that may wait for that; beyond, `publish` is refused with kind `backpressure`. Default 100,000. */
  readonly maxWaitingMessages: number;
  /**
   * Checks what is published by an `EventContract` against its schema as consumers will: encoded, decoded, validated. What does not fit is
   * refused with `InvalidPayloadError`; nothing is sent. Default `true`.
   */
  readonly validate: boolean;
  /** Default `none`. */
  readonly compression: TransportProducerOptions['compression'];
  /** Milliseconds until an unacknowledged send is rejected as ambiguous; 0 = never. Default 30,000. */
  readonly sendTimeoutMs: number;
  /** Names the producers for deduplication by `sequenceId`; one app instance at a time may use a name. Default: none. */
  readonly producerName: string | undefined;
}

/** How producers send where nothing else is said, and which are kept. */
export interface ProducerDefaults extends TopicProducerOptions {
  /** What is different for single topics, by short or full name; what is not said stays as above. Default: nothing. */
  readonly topics: Readonly<Record<string, Partial<TopicProducerOptions>>> | undefined;
  /** Producers kept at most, over all topics. Default 256. */
  readonly poolMax: number;
  /** A producer unused for so long is closed, milliseconds. Default 60,000. */
  readonly poolIdleMs: number;
}

/** The defaults of {@link ProducerDefaults}. */
export const PRODUCER_DEFAULTS: ProducerDefaults = Object.freeze({
  batching: true,
  batchMaxMessages: 100,
  batchMaxBytes: 131_072,
  batchMaxDelayMs: 100,
  batchKeyed: 'by-key',
  maxPendingMessages: 500,
  maxPendingBytes: 67_108_864,
  maxWaitingMessages: 100_000,
  validate: true,
  compression: 'none',
  sendTimeoutMs: 30_000,
  producerName: undefined,
  topics: undefined,
  poolMax: 256,
  poolIdleMs: 60_000,
});

/** How consumers behave where nothing else is said. */
export interface ConsumerDefaults {
  /** Default `Shared`. */
  readonly type: SubscriptionType;
  /** Default `latest`. */
  readonly initialPosition: InitialPosition;
  /** Handlers at the same time. Default 1. */
  readonly concurrency: number;
  /** Handler runs in all. Default 5. */
  readonly maxAttempts: number;
  /** Milliseconds a handler run may take; 0 = no limit. Default 30,000. */
  readonly timeoutMs: number;
  /** How long an aborted handler may take to settle before it is counted as failed all the same, milliseconds. Default 5,000. */
  readonly abortGraceMs: number;
  /** Default 1,000 ms, doubled up to 60,000 ms, jitter `equal`. */
  readonly backoff: Required<{ [K in keyof RetryBackoff]: NonNullable<RetryBackoff[K]> }>;
  /** How long `close()` of a consumer waits for running handlers, milliseconds. Default 25,000. */
  readonly drainTimeoutMs: number;
}

/** The defaults of {@link ConsumerDefaults}. */
export const CONSUMER_DEFAULTS: ConsumerDefaults = Object.freeze({
  type: 'Shared',
  initialPosition: 'latest',
  concurrency: 1,
  maxAttempts: 5,
  timeoutMs: 30_000,
  abortGraceMs: 5_000,
  backoff: Object.freeze({ initialMs: 1_000, multiplier: 2, maxMs: 60_000, jitter: 'equal' }),
  drainTimeoutMs: 25_000,
});

/** How messages are traced. */
export interface TelemetryOptions {
  /**
   * `true`: the span of a handler is a child of the span that published its message, one trace from end to end. `false`: it is linked to it
   * and begins a trace of its own. Handlers of batches are always linked. Default `true`.
   */
  readonly continueTrace: boolean;
  /** A span for each acknowledgement and each refusal. Default `false`. */
  readonly settleSpans: boolean;
}

/** The defaults of {@link TelemetryOptions}. */
export const TELEMETRY_DEFAULTS: TelemetryOptions = Object.freeze({ continueTrace: true, settleSpans: false });

/** What happens when the broker cannot be reached, or a subscription not be made, while the app starts. */
export interface StartupOptions {
  /**
   * `fail`: the start fails. `retry`: it is tried again within `timeoutMs`, then the start fails. `continue`: the app starts, and it is tried again
   * in the background for as long as it takes; health tells. Default `fail`.
   */
  readonly policy: 'fail' | 'continue' | 'retry';
  /** How long `retry` tries, milliseconds; the attempt that is under way then may still end. Default 10,000. */
  readonly timeoutMs: number;
}

/** The defaults of {@link StartupOptions}. */
export const STARTUP_DEFAULTS: StartupOptions = Object.freeze({ policy: 'fail', timeoutMs: 10_000 });

/** A JSON web token or what supplies one. */
export type PulsarToken = string | (() => string | Promise<string>);

/** Which certificates are trusted and shown. */
export interface PulsarTls {
  /** Authorities to trust instead of the machine's, PEM. */
  readonly ca?: string | undefined;
  /** The client's own certificate, PEM. */
  readonly cert?: string | undefined;
  /** The key of {@link cert}, PEM. */
  readonly key?: string | undefined;
  /** The name that the broker's certificate must carry, instead of the host that is connected to. */
  readonly servername?: string | undefined;
}

/** The defaults of the connection. */
export const CONNECTION_DEFAULTS = Object.freeze({ connectTimeoutMs: 10_000, operationTimeoutMs: 30_000 });

/** How a transport connects: what is the same for all that have a broker. */
export interface ConnectionOptions {
  readonly url: string;
  readonly token: PulsarToken | undefined;
  readonly tls: PulsarTls | undefined;
  readonly connectTimeoutMs: number;
  readonly operationTimeoutMs: number;
}

/** What `PulsarModule.forRoot` takes. */
export interface PulsarModuleOptions {
  /**
   * Where the broker is: `memory://` (in this process), `pulsar://host:6650`, `pulsar+ssl://host:6651` (several hosts separated by commas
   * name one cluster), `ws://host:8080`, `wss://host:8443`. Credentials do not belong here.
   */
  readonly url: string;
  /**
   * What serves `pulsar://` and `pulsar+ssl://`: `wire`, or `native`, the official client with its addon, an optional package. Or a
   * transport of your own, used instead of the URL's; borrowed, closed by its owner. Default `wire`.
   */
  readonly transport?: PulsarTransport | 'wire' | 'native' | undefined;
  /**
   * Where the admin API is, for `PulsarAdmin`: `http://host:8080` or `https://host:8443`, several of one cluster after commas. Needs `token` and
   * `tls` as the connection has them. Default: none, `memory://` needs none.
   */
  readonly adminUrl?: string | undefined;
  /** Tenants, namespaces and topics that have to be there; made at start, before anything subscribes. Needs `adminUrl` outside `memory://`. Default: none. */
  readonly provision?: ProvisionOptions | undefined;
  /** A JSON web token or what supplies one, asked for each connection. Default: no authentication. */
  readonly token?: PulsarToken | undefined;
  /** Certificates of `pulsar+ssl://` and `wss://`. Default: the authorities that Node trusts. */
  readonly tls?: PulsarTls | undefined;
  /** How long the connection may take at start, and each later attempt, milliseconds. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long the creation of a producer or consumer may take with all its retries, milliseconds. Default 30,000. */
  readonly operationTimeoutMs?: number | undefined;
  /** `true`: this module closes `transport` at the end. Default `false`. */
  readonly ownTransport?: boolean | undefined;
  /** `tenant/namespace` that short topic names belong to. Required outside `memory://`; there `public/default`. */
  readonly namespace?: string | undefined;
  readonly producer?: Partial<ProducerDefaults> | undefined;
  readonly consumer?:
    (Partial<Omit<ConsumerDefaults, 'backoff'>> & { readonly backoff?: RetryBackoff | undefined }) | undefined;
  /**
   * `true`: guards, pipes and interceptors registered for the whole app (`APP_GUARD`, `useGlobalPipes`) also run for messages. Global
   * exception filters never do: one that answers would make a failed message look handled. Default `false`.
   */
  readonly applyGlobalEnhancers?: boolean | undefined;
  /** For the connection, and for consumers that say nothing else. */
  readonly startup?: Partial<StartupOptions> | undefined;
  /**
   * Names this instance of the app in the subscriptions of `every-replica` consumers: letters, digits, `_`, `.` and `-`, up to 100. No two that run at
   * the same time may share it. Default: random.
   */
  readonly instanceId?: string | undefined;
  readonly telemetry?: Partial<TelemetryOptions> | undefined;
  /** What this app publishes, for its `asyncapi.json` (`PulsarAsyncApi`); their topics are checked at start. Default: none. */
  readonly events?: readonly DeclaredEvent[] | undefined;
}

/** What `PulsarModule.forRootAsync` takes. */
export interface PulsarModuleAsyncOptions {
  /** Modules whose providers `inject` names. */
  readonly imports?: ModuleMetadata['imports'];
  /** What `useFactory` is called with. */
  readonly inject?: FactoryProvider['inject'];
  /** Makes the options. */
  readonly useFactory: FactoryProvider<PulsarModuleOptions>['useFactory'];
}

/** Options after validation, defaults filled in. */
export interface ResolvedPulsarOptions extends ConnectionOptions {
  /** One of the application's own, or the name of the one that the URL asks for. */
  readonly transport: PulsarTransport | TransportName;
  readonly ownTransport: boolean;
  readonly adminUrl: string | undefined;
  readonly provision: ProvisionOptions | undefined;
  readonly namespace: string;
  readonly producer: ProducerDefaults;
  readonly consumer: ConsumerDefaults;
  readonly applyGlobalEnhancers: boolean;
  readonly startup: StartupOptions;
  readonly instanceId: string | undefined;
  readonly telemetry: TelemetryOptions;
  readonly events: readonly DeclaredEvent[];
}

/** The injection token of {@link ResolvedPulsarOptions}. */
export const PULSAR_OPTIONS = Symbol('PULSAR_OPTIONS');

export const whole = (min: number, max: number, unit: string) =>
  z
    .number({ error: `expected a whole number of ${unit}, ${min} to ${max}` })
    .int({ error: `expected a whole number of ${unit}, ${min} to ${max}` })
    .min(min, { error: `expected at least ${min} (${unit})` })
    .max(max, { error: `expected at most ${max} (${unit})` });
const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `expected one of ${values.join(', ')}` });

const DAY_MS = 86_400_000;
const pem = z
  .string({ error: 'expected PEM text' })
  .refine((text) => text.includes('-----BEGIN '), { error: 'expected PEM text, which has a line -----BEGIN …-----' });

export const subscriptionTypeSchema = oneOf(['Exclusive', 'Failover', 'Shared', 'Key_Shared']);
export const initialPositionSchema = oneOf(['earliest', 'latest']);
export const concurrencySchema = whole(1, 1_000, 'handlers');
export const prefetchSchema = whole(0, 10_000, 'messages');
export const maxHeldBackSchema = whole(0, 100_000, 'messages');
/** Payload bytes that may be out. */
export const prefetchBytesSchema = whole(1, Number.MAX_SAFE_INTEGER, 'bytes');
export const maxAttemptsSchema = whole(1, 1_000, 'handler runs');
export const timeoutSchema = whole(0, DAY_MS, 'milliseconds');
export const backoffSchema = z.strictObject({
  initialMs: whole(0, DAY_MS, 'milliseconds').optional(),
  multiplier: z
    .number({ error: 'expected a number from 1 to 10' })
    .min(1, { error: 'expected a number from 1 to 10' })
    .max(10, { error: 'expected a number from 1 to 10' })
    .optional(),
  maxMs: whole(0, DAY_MS, 'milliseconds').optional(),
  jitter: oneOf(['none', 'equal', 'full']).optional(),
});

const topicProducerSchema = z.strictObject({
  batching: z.boolean({ error: 'expected true or false' }).optional(),
  batchMaxMessages: whole(1, 100_000, 'messages').optional(),
  batchMaxBytes: whole(1, 5_242_880, 'bytes').optional(),
  batchMaxDelayMs: whole(0, 60_000, 'milliseconds').optional(),
  batchKeyed: oneOf(['by-key', 'mixed']).optional(),
  maxPendingMessages: whole(1, 1_000_000, 'messages').optional(),
  maxPendingBytes: whole(1, 2_147_483_647, 'bytes').optional(),
  maxWaitingMessages: whole(0, 10_000_000, 'messages').optional(),
  validate: z.boolean({ error: 'expected true or false' }).optional(),
  compression: oneOf(['none', 'lz4', 'zlib', 'zstd', 'snappy']).optional(),
  sendTimeoutMs: timeoutSchema.optional(),
  producerName: z
    .string({ error: 'expected a text' })
    .min(1, { error: 'expected a text that is not empty' })
    .optional(),
});

export const startupSchema = z.strictObject(
  {
    policy: oneOf(['fail', 'continue', 'retry']).optional(),
    timeoutMs: whole(0, DAY_MS, 'milliseconds').optional(),
  },
  { error: 'expected { policy?, timeoutMs? }' },
);

const producerSchema = topicProducerSchema.extend({
  topics: z
    .record(z.string(), topicProducerSchema, { error: 'expected an object of producer options by topic' })
    .optional(),
  poolMax: whole(1, 100_000, 'producers').optional(),
  poolIdleMs: whole(1, DAY_MS, 'milliseconds').optional(),
});

const consumerSchema = z.strictObject({
  type: subscriptionTypeSchema.optional(),
  initialPosition: initialPositionSchema.optional(),
  concurrency: concurrencySchema.optional(),
  maxAttempts: maxAttemptsSchema.optional(),
  timeoutMs: timeoutSchema.optional(),
  abortGraceMs: timeoutSchema.optional(),
  backoff: backoffSchema.optional(),
  drainTimeoutMs: timeoutSchema.optional(),
});

/** The schema of {@link PulsarModuleOptions}; URL scheme and namespace are checked by `resolveOptions`. */
export const pulsarOptionsSchema = z.strictObject({
  url: z.string({ error: 'expected a text such as memory:// or pulsar://host:6650' }),
  transport: z
    .custom<PulsarTransport | 'wire' | 'native'>(
      (value) => value instanceof PulsarTransport || value === 'wire' || value === 'native',
      { error: 'expected wire, native or a PulsarTransport' },
    )
    .optional(),
  adminUrl: z.string({ error: 'expected a text such as http://host:8080' }).optional(),
  provision: provisionSchema.optional(),
  token: z
    .custom<PulsarToken>((value) => typeof value === 'function' || (typeof value === 'string' && value !== ''), {
      error: 'expected a token or a function that supplies one',
    })
    .optional(),
  tls: z
    .strictObject({
      ca: pem.optional(),
      cert: pem.optional(),
      key: pem.optional(),
      servername: z.string({ error: 'expected a host name' }).optional(),
    })
    .optional(),
  connectTimeoutMs: whole(1, DAY_MS, 'milliseconds').optional(),
  operationTimeoutMs: whole(1, DAY_MS, 'milliseconds').optional(),
  ownTransport: z.boolean({ error: 'expected true or false' }).optional(),
  namespace: z.string({ error: 'expected a text of the form tenant/namespace' }).optional(),
  producer: producerSchema.optional(),
  consumer: consumerSchema.optional(),
  applyGlobalEnhancers: z.boolean({ error: 'expected true or false' }).optional(),
  events: z
    .array(
      z.custom<DeclaredEvent>(
        (event) => typeof event === 'object' && event !== null && 'kind' in event && event.kind === 'event',
        { error: 'expected what defineEvent answers' },
      ),
      { error: 'expected a list of what defineEvent answers' },
    )
    .optional(),
  startup: startupSchema.optional(),
  instanceId: z
    .string({ error: 'expected a text' })
    .regex(/^[\w.-]{1,100}$/, { error: 'expected 1 to 100 letters, digits, _, . and -' })
    .optional(),
  telemetry: z
    .strictObject({
      continueTrace: z.boolean({ error: 'expected true or false' }).optional(),
      settleSpans: z.boolean({ error: 'expected true or false' }).optional(),
    })
    .optional(),
});
