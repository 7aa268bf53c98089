import type { BackoffOptions } from '../connection/backoff.js';
import type { Dial, TlsOptions } from '../connection/dial.js';
import type { TokenSource } from '../connection/token.js';
import type { Clock, Random } from './time.js';
import { InvalidWireOptionError } from './client.errors.js';

/** What a client tells of its life; nothing is logged by the client itself. Credentials are never in it. */
export type ClientEvent =
  | { readonly type: 'connection-lost'; readonly address: string; readonly cause: unknown }
  | { readonly type: 'producer-detached'; readonly topic: string; readonly cause: unknown }
  | { readonly type: 'producer-attached'; readonly topic: string; readonly resentFrames: number }
  | { readonly type: 'consumer-detached'; readonly topic: string; readonly cause: unknown }
  | { readonly type: 'consumer-attached'; readonly topic: string; readonly permits: number }
  | { readonly type: 'attach-failed'; readonly topic: string; readonly attempt: number; readonly cause: unknown }
  /** A topic has more partitions than before, and they are taken on. */
  | { readonly type: 'partitions-added'; readonly topic: string; readonly partitions: number }
  /** Whether a topic has more partitions than before could not be learnt, or they could not be taken on; the next round tries again. */
  | { readonly type: 'partitions-unknown'; readonly topic: string; readonly cause: unknown }
  /** A stored entry cannot be read and is lost to this subscription, or cannot be handed out by this client. */
  | { readonly type: 'entry-dropped'; readonly topic: string; readonly entry: string; readonly cause: unknown }
  /** The broker left out entries while it was giving back; they are asked for again, and what came too early is given back with them. */
  | { readonly type: 'entries-skipped'; readonly topic: string; readonly cause: unknown }
  /** The application's listener threw; the message is given back to the broker. */
  | { readonly type: 'listener-failed'; readonly topic: string; readonly cause: unknown }
  /** The broker sent something that this client has no use for. */
  | { readonly type: 'unexpected-command'; readonly address: string; readonly command: string };

/** How a {@link PulsarClient} connects. */
export interface PulsarClientOptions {
  /**
   * `pulsar://host:6650` or `pulsar+ssl://host:6651`, several hosts separated by commas, or several such URLs. They name one cluster:
   * the next one is tried when one does not answer.
   */
  readonly serviceUrl: string | readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  /** A JSON web token or what supplies one; called for each connection and each challenge. Default: no authentication. */
  readonly token?: TokenSource | undefined;
  readonly tls?: TlsOptions | undefined;
  /** How long a request, or the creation of a producer or consumer with all its retries, may take. Default 30,000. */
  readonly operationTimeoutMs?: number | undefined;
  /** How long TCP, TLS and the handshake may take together. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** After so long without a byte the broker is asked for a sign of life; after twice as long the connection is given up. Default 30,000. */
  readonly keepAliveMs?: number | undefined;
  /**
   * Connections to each broker, over which producers and consumers are spread. One is enough for most: more help large payloads, and keep a producer
   * with exclusive access, which may cost its connection when it is fenced, away from others. Default 1.
   */
  readonly connectionsPerBroker?: number | undefined;
  /** Lookups on the way at the same time; further ones wait. Default 50. */
  readonly maxConcurrentLookups?: number | undefined;
  /** How often a topic with partitions is asked whether it has more by now; 0 = never. Milliseconds, default 60,000. */
  readonly partitionsCheckMs?: number | undefined;
  /** Delays between attempts to connect and to attach, with full jitter. Default 100 ms, doubling up to 60,000 ms. */
  readonly backoff?: Partial<BackoffOptions> | undefined;
  /** Hears what happens. Must not throw: the first thing that is thrown becomes a warning of the process. Default: nobody. */
  readonly onEvent?: ((event: ClientEvent) => void) | undefined;
  /** Opens the byte stream; for tests and unusual networks. Default: `node:net` and `node:tls`. */
  readonly dial?: Dial | undefined;
}

/** Defaults of {@link PulsarClientOptions}. */
export const CLIENT_DEFAULTS = Object.freeze({
  operationTimeoutMs: 30_000,
  connectTimeoutMs: 10_000,
  keepAliveMs: 30_000,
  connectionsPerBroker: 1,
  maxConcurrentLookups: 50,
  partitionsCheckMs: 60_000,
  backoff: Object.freeze({ initialMs: 100, maxMs: 60_000 }),
});

/** @throws {@link InvalidWireOptionError} unless `value` is a whole number within the bounds. */
export function wholeNumber(option: string, value: number, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidWireOptionError(option, `is ${String(value)}, expected a whole number ${bounds}`);
  }
  return value;
}
