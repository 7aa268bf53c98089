import { backoffDelayMs, type BackoffOptions, type Clock, type Random, type Timer } from '@smartpulse/resilience';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { brokerFailure } from '../transport/broker-failure.js';
import type { LiveSocket } from './live-socket.js';
import type { Dial } from './socket-dialer.js';
import type { Endpoint } from './websocket.endpoint.js';

/** What becomes of a socket. */
export interface ReconnectingSocketListener {
  /** It is open, at first or again. */
  onOpen(live: LiveSocket): void;
  onText(text: string): void;
  /** It was open and is not any more; another one is on its way unless the socket is closed. */
  onLost(error: PulsarError): void;
  /** The broker will not have it back. */
  onGone(error: PulsarError): void;
}

/** What a {@link ReconnectingSocket} is made of. */
export interface ReconnectingSocketParts {
  readonly dial: Dial;
  readonly clock: Clock;
  readonly random: Random;
  /** For one attempt. */
  readonly connectTimeoutMs: number;
}

const BACKOFF: Readonly<BackoffOptions> = Object.freeze({
  initialMs: 100,
  multiplier: 2,
  maxMs: 30_000,
  jitter: 'full',
});
/** A connection that lasted so long without any traffic was none that fails at once, either. */
const STABLE_MS = 10_000;

/** Keeps one socket open: another follows one that was lost, later and later while that fails. */
export class ReconnectingSocket {
  readonly #abort = new AbortController();
  #live: LiveSocket | undefined;
  #openedAtMs = 0;
  #failures = 0;
  #retry: Timer | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly parts: ReconnectingSocketParts,
    private readonly listener: ReconnectingSocketListener,
  ) {}

  /** The socket, while frames can leave. What is tried on one that ends fails in this very turn, and tried again so for ever keeps its end from being heard. */
  get live(): LiveSocket | undefined {
    return this.#live?.isOpen === true ? this.#live : undefined;
  }

  /**
   * Resolves when it is open; what passes by itself is tried again until the timeout.
   *
   * @throws PulsarError
   */
  async open(timeoutMs: number): Promise<void> {
    const { clock, dial, connectTimeoutMs } = this.parts;
    const deadlineMs = clock.monotonic() + timeoutMs;
    for (;;) {
      const leftMs = deadlineMs - clock.monotonic();
      try {
        // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
        this.#adopt(await dial(this.endpoint, Math.min(connectTimeoutMs, leftMs), this.#abort.signal));
        return;
      } catch (error) {
        const delayMs = this.#nextDelayMs();
        const passes = PulsarError.is(error) && error.kind === 'transient';
        if (this.#closing !== undefined || !passes || clock.monotonic() + delayMs >= deadlineMs) {
          this.#abort.abort(error);
          throw error;
        }
        // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
        await clock.sleep(delayMs, this.#abort.signal);
      }
    }
  }

  /** Ends it for good, after everything that was sent. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#retry?.cancel();
    this.#abort.abort(new PulsarClosedError(this.endpoint.role, this.endpoint.topic));
    await this.#live?.close();
  }

  #adopt(live: LiveSocket): void {
    const { clock } = this.parts;
    if (this.#closing !== undefined) {
      live.terminate();
      throw new PulsarClosedError(this.endpoint.role, this.endpoint.topic);
    }
    this.#live = live;
    this.#openedAtMs = clock.monotonic();
    live.listen({
      onText: (text) => {
        // The broker does its work by this connection: it is none that fails at once.
        this.#failures = 0;
        this.listener.onText(text);
      },
      onClose: (code, reason) => this.#lost(code, reason),
    });
    if (this.#live === live) {
      this.listener.onOpen(live);
    }
  }

  #lost(code: number, reason: string): void {
    this.#live = undefined;
    if (this.parts.clock.monotonic() - this.#openedAtMs >= STABLE_MS) {
      this.#failures = 0;
    }
    const { role, topic } = this.endpoint;
    const said = reason === '' ? '' : `, ${reason}`;
    this.listener.onLost(
      brokerFailure(
        'SMARTPULSE_PULSAR_CONNECTION',
        `The connection of a ${role} on ${topic} was lost (${code}${said}).`,
        {
          topic,
          ambiguous: role === 'producer',
        },
      ),
    );
    this.#again();
  }

  #again(): void {
    if (this.#closing === undefined) {
      this.#retry = this.parts.clock.setTimer(this.#nextDelayMs(), () => void this.#redial());
    }
  }

  async #redial(): Promise<void> {
    try {
      this.#adopt(await this.parts.dial(this.endpoint, this.parts.connectTimeoutMs, this.#abort.signal));
    } catch (error) {
      const failure = PulsarError.from(error, this.endpoint.topic ?? 'the broker');
      if (this.#closing !== undefined) {
        return;
      }
      if (comesBack(failure)) {
        this.#again();
      } else {
        this.#closing = Promise.resolve();
        this.listener.onGone(failure);
      }
    }
  }

  #nextDelayMs(): number {
    this.#failures++;
    return backoffDelayMs(BACKOFF, this.#failures, this.parts.random);
  }
}

/** Who holds the name or the subscription is most likely our own lost connection, which the broker has not missed yet. */
function comesBack({ code, kind }: PulsarError): boolean {
  return (
    code === 'SMARTPULSE_PULSAR_CONSUMER_BUSY' ||
    code === 'SMARTPULSE_PULSAR_PRODUCER_BUSY' ||
    kind === 'transient' ||
    kind === 'backpressure'
  );
}
