import { SystemClock } from '@smartpulse/resilience';
import type { NamedConsumer, PulsarConsumers } from '../../consumer/pulsar.consumers.js';
import type { PulsarPublisher } from '../../producer/pulsar.publisher.js';
import type { HarnessTransport } from './harness.transport.js';
import type { OutstandingMessage } from './harness-records.js';

/** How things stand when nothing moves any more. */
export interface Stillness {
  /** Messages that the app has taken and that wait for time: for their retry, or for the end of an outage. `advance(ms)` brings them on. */
  readonly waiting: number;
  /** Messages that are with a broker for later: given back with a delay, published with one, or for a consumer that is being made anew. */
  readonly later: number;
}

/** How long to wait for a standstill. */
export interface SettleOptions {
  /**
   * Milliseconds of *real* time that handlers may take for what is outside of the virtual time: a database, a file. Default 0: what has not
   * settled after some turns of the event loop is taken for hanging.
   */
  readonly realTimeMs?: number | undefined;
}

/** Something of the app has not come to its end, and no timer of the harness would bring it there. */
export class UnsettledError extends Error {
  override readonly name = 'UnsettledError';
  /** What hangs, a sentence each. */
  readonly hanging: readonly string[];

  constructor(hanging: readonly string[]) {
    super(hanging.join('\n'));
    this.hanging = hanging;
  }
}

/** Rounds without any change after which nothing is on the way; each is some turns of the event loop. */
const STILL_ROUNDS = 8;
/** Rounds that a handler may take without anything else changing: for chains of promises and of small I/O. */
const PATIENT_ROUNDS = 64;
/** Messages that a sentence names. */
const NAMED = 3;

/** Waits until nothing moves, and says what does not end. */
export class StillnessWatch {
  readonly #transport: HarnessTransport;
  readonly #consumers: PulsarConsumers;
  readonly #publisher: PulsarPublisher;
  readonly #realClock = new SystemClock();

  constructor(transport: HarnessTransport, consumers: PulsarConsumers, publisher: PulsarPublisher) {
    this.#transport = transport;
    this.#consumers = consumers;
    this.#publisher = publisher;
  }

  /** @throws UnsettledError that names what hangs. */
  async settled({ realTimeMs = 0 }: SettleOptions): Promise<Stillness> {
    let before = '';
    let sameRounds = 0;
    let sinceMs = this.#realClock.monotonic();
    for (;;) {
      await this.#transport.clock.settle();
      const now = this.#signature();
      if (now !== before) {
        before = now;
        sameRounds = 0;
        sinceMs = this.#realClock.monotonic();
        continue;
      }
      sameRounds++;
      if (sameRounds < STILL_ROUNDS) {
        continue;
      }
      const hanging = this.#hanging();
      if (hanging.length === 0) {
        return this.#stillness();
      }
      if (sameRounds >= PATIENT_ROUNDS && this.#realClock.monotonic() - sinceMs >= realTimeMs) {
        throw new UnsettledError(hanging);
      }
    }
  }

  #signature(): string {
    return [
      this.#transport.records.signature,
      this.#publisher.pending,
      this.#transport.faults.delayed,
      this.#transport.clock.monotonic(),
      ...this.#consumers.all.map((consumer) => {
        const { acked, failed, inFlight, nacked, received, waiting } = consumer.stats();
        return [consumer.state.status, acked, failed, inFlight, nacked, received, waiting].join();
      }),
    ].join(';');
  }

  #stillness(): Stillness {
    let waiting = 0;
    let later = 0;
    for (const consumer of this.#consumers.all) {
      const { inFlight } = consumer.stats();
      waiting += inFlight;
      later += Math.max(0, this.#backlog(consumer) - this.#outstanding(consumer).length);
    }
    return { waiting, later };
  }

  #hanging(): string[] {
    return [...this.#consumers.all.flatMap((consumer) => this.#hangingOf(consumer)), ...this.#hangingPublishes()];
  }

  #hangingOf(consumer: NamedConsumer): string[] {
    const { inFlight, waiting } = consumer.stats();
    const { status } = consumer.state;
    const name = `${consumer.handlerName} (consumer ${consumer.id})`;
    const running = inFlight - waiting;
    if (running > 0) {
      return [
        `${name}: ${count(running, 'handler run has', 'handler runs have')} not ended${this.#named(consumer)}. If it waits for virtual time, advance(ms); if for something outside, such as a database, settled({ realTimeMs }); else it hangs.`,
      ];
    }
    if (status === 'waiting') {
      return this.#transport.faults.delayed > 0
        ? []
        : [`${name}: its subscription has not been made. Has the app been initialised (await app.init())?`];
    }
    const left = Math.max(inFlight, this.#backlog(consumer));
    if (status === 'paused' && left > 0) {
      return [`${name}: it is paused and ${count(left, 'message waits', 'messages wait')} for it. resume() it first.`];
    }
    if (inFlight > 0 && this.#transport.clock.pendingTimers === 0) {
      return [
        `${name}: ${count(inFlight, 'message is', 'messages are')} neither acknowledged nor given back${this.#named(consumer)}, no handler runs and no timer is set.`,
      ];
    }
    return [];
  }

  #hangingPublishes(): string[] {
    const { pending } = this.#publisher;
    return pending === 0 || this.#transport.batching || this.#transport.faults.delayed > 0
      ? []
      : [
          `${count(pending, 'publish has', 'publishes have')} been answered by nobody. Is a fault planned that never ends?`,
        ];
  }

  #backlog({ topic, subscription }: NamedConsumer): number {
    return this.#transport.broker.stats(topic).backlog(subscription);
  }

  #outstanding({ topic, subscription }: NamedConsumer): readonly OutstandingMessage[] {
    return this.#transport.records.outstanding.filter(
      (one) => one.topic === topic && one.subscription === subscription,
    );
  }

  #named(consumer: NamedConsumer): string {
    const all = this.#outstanding(consumer);
    const some = all
      .slice(0, NAMED)
      .map(({ message: { id, key } }) => `message ${id.toString()}${key === undefined ? '' : ` (key "${key}")`}`);
    return some.length === 0
      ? ''
      : `, of ${some.join(', ')}${all.length > NAMED ? ` and ${all.length - NAMED} more` : ''}`;
  }
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
