import type { Connection } from './connection.js';
import type { ClientContext } from '../client/client-context.js';
import { RequestTimeoutError, toWireError, WireClosedError } from '../client/client.errors.js';
import type { Timer } from '../client/time.js';
import type { WireError } from '../pulsar-wire.errors.js';
import { Backoff } from './backoff.js';

/** An attachment that held for so long without any traffic proves that the way is sound, too. */
const SOUND_AFTER_MS = 10_000;

/** What an {@link Attachment} keeps attached: a producer or a consumer. */
export interface Attachable {
  readonly topic: string;
  /** Registers at the broker. Rejects with a {@link WireError}. Called once at a time. */
  attach(connection: Connection): Promise<void>;
  /** The registration is gone; called once per successful {@link attach}. */
  detached(cause: unknown): void;
  /** It will not come back: called at most once, and not for a failure of {@link Attachment.start}. */
  failed(cause: WireError): void;
  /** Whether an error ends it for good, now that it was attached before. */
  isFinal(cause: WireError): boolean;
}

type State =
  | { readonly phase: 'idle' }
  | { readonly phase: 'attaching'; readonly connection: Connection | undefined; lost: Loss | undefined }
  | { readonly phase: 'attached'; readonly connection: Connection; readonly sinceMs: number }
  | { readonly phase: 'waiting'; readonly timer: Timer }
  | { readonly phase: 'ended' };

interface Loss {
  readonly cause: unknown;
  readonly brokerUrl: string | undefined;
}

/**
 * Keeps a producer or consumer registered at the broker that serves its topic, over lost connections, moved topics and restarted
 * brokers: lookup, connect, attach, and again after a delay.
 */
export class Attachment {
  #state: State = { phase: 'idle' };
  readonly #backoff: Backoff;
  /** It stays with the same of several connections, so that those who share one are the same after a reconnect. */
  readonly #slot: number;
  #established = false;
  #onStart: { resolve: () => void; reject: (error: WireError) => void } | undefined;
  #deadlineMs = Infinity;

  constructor(
    private readonly context: ClientContext,
    private readonly entity: Attachable,
  ) {
    this.#backoff = new Backoff(context.backoff, context.random);
    this.#slot = context.nextSlot();
  }

  /** The connection that it is attached to. */
  get connection(): Connection | undefined {
    return this.#state.phase === 'attached' ? this.#state.connection : undefined;
  }

  /**
   * Attaches for the first time.
   *
   * @throws the broker's refusal at once; what may pass by itself only when `operationTimeoutMs` is over.
   */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onStart = { resolve, reject };
      this.#deadlineMs = this.context.clock.monotonic() + this.context.operationTimeoutMs;
      this.#next(undefined);
    });
  }

  /**
   * The registration is gone. What is said about another connection than the present one is old news.
   *
   * @param brokerUrl the broker that it moved to, where the old one says so.
   */
  lost(connection: Connection, cause: unknown, brokerUrl?: string): void {
    const state = this.#state;
    if (state.phase === 'attaching' && state.connection === connection) {
      state.lost = { cause, brokerUrl };
    } else if (state.phase === 'attached' && state.connection === connection) {
      if (this.context.clock.monotonic() - state.sinceMs >= SOUND_AFTER_MS) {
        this.#backoff.reset();
      }
      this.#wait(brokerUrl);
      this.entity.detached(cause);
    }
  }

  /** The broker has just done its work: the way is sound, and the next delay begins small again. */
  proven(): void {
    this.#backoff.reset();
  }

  /** Ends it; nothing is called any more. */
  end(cause?: WireError): void {
    if (this.#state.phase === 'waiting') {
      this.#state.timer.cancel();
    }
    this.#state = { phase: 'ended' };
    const onStart = this.#onStart;
    this.#onStart = undefined;
    onStart?.reject(cause ?? new WireClosedError('client'));
  }

  #wait(brokerUrl: string | undefined): void {
    const timer = this.context.clock.setTimer(this.#backoff.nextMs(), () => this.#next(brokerUrl));
    this.#state = { phase: 'waiting', timer };
  }

  #next(brokerUrl: string | undefined): void {
    // Never rejects: what fails inside is judged inside.
    void this.#attach(brokerUrl);
  }

  async #attach(brokerUrl: string | undefined): Promise<void> {
    let state: Extract<State, { phase: 'attaching' }> = { phase: 'attaching', connection: undefined, lost: undefined };
    this.#state = state;
    try {
      const connection = await this.context.lookup.connect(this.entity.topic, this.#slot, brokerUrl);
      if (this.#state !== state) {
        return;
      }
      state = { phase: 'attaching', connection, lost: undefined };
      this.#state = state;
      await this.entity.attach(connection);
      if (this.#state !== state) {
        return;
      }
      this.#state = { phase: 'attached', connection, sinceMs: this.context.clock.monotonic() };
      this.#established = true;
      const onStart = this.#onStart;
      this.#onStart = undefined;
      onStart?.resolve();
      if (state.lost !== undefined) {
        this.lost(connection, state.lost.cause, state.lost.brokerUrl);
      }
    } catch (error) {
      if (this.#state === state) {
        this.#failed(error);
      }
    }
  }

  #failed(error: unknown): void {
    const cause = toWireError(error);
    const { topic } = this.entity;
    this.context.emit({ type: 'attach-failed', topic, attempt: this.#backoff.attempt + 1, cause });
    if (this.#established) {
      if (this.entity.isFinal(cause)) {
        this.#state = { phase: 'ended' };
        this.entity.failed(cause);
      } else {
        this.#wait(undefined);
      }
      return;
    }
    if (cause.kind !== 'transient') {
      this.end(cause);
    } else if (this.context.clock.monotonic() >= this.#deadlineMs) {
      this.end(new RequestTimeoutError(`attach to ${topic}`, this.context.operationTimeoutMs, cause));
    } else {
      this.#wait(undefined);
    }
  }
}
