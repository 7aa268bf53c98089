import assert from 'node:assert/strict';
import { PulsarError } from '../pulsar.errors.js';
import type { PulsarTransport, TransportProducer } from '../transport/pulsar.transport.js';
import { textOf } from './transport-fixture.js';

const KEYS = 8;
/** How often the way is looked at, milliseconds. */
const LOOK_MS = 20;
const PATIENCE_MS = 60_000;

/** Where a {@link Traffic} goes, and how it waits. */
export interface TrafficOptions {
  /** Sends; connected. */
  readonly from: PulsarTransport;
  /** Receives; connected. */
  readonly to: PulsarTransport;
  readonly topic: string;
  /** As the fixture's `resends`: none is refused then. Default: they may be, as perhaps stored. */
  readonly resends?: boolean | undefined;
  /** Lets `ms` milliseconds pass, virtual or real. */
  readonly wait: (ms: number) => Promise<void>;
}

/** Messages with numbers from one transport to another, and what became of them. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #producer: TransportProducer;
  readonly #received: { readonly key: string; readonly at: number; readonly id: string }[] = [];
  readonly #stored = new Set<number>();
  readonly #refused: unknown[] = [];
  readonly #closed: Error[] = [];
  readonly #ackFailures: unknown[] = [];
  #next = 0;

  private constructor(options: TrafficOptions, producer: TransportProducer) {
    this.#options = options;
    this.#producer = producer;
  }

  static async between(options: TrafficOptions): Promise<Traffic> {
    const producer = await options.from.createProducer({
      topic: options.topic,
      batching: { enabled: true, maxMessages: 50, maxBytes: 131_072, maxDelayMs: 1 },
      maxPendingMessages: 1_000,
      maxPendingBytes: 10_000_000,
      compression: 'none',
      sendTimeoutMs: options.from.capabilities.endlessSends ? 0 : 300_000,
    });
    const traffic = new Traffic(options, producer);
    await traffic.#consume();
    return traffic;
  }

  /** Messages that came, each as often as it did. */
  get received(): number {
    return this.#received.length;
  }

  /** Sends that are neither stored nor refused. */
  get unsettled(): number {
    return this.#next - this.#stored.size - this.#refused.length;
  }

  /** Sends at once. Never rejects: what is refused is told by {@link check}. */
  async send(count: number): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, async () => {
        const at = this.#next++;
        try {
          await this.#producer.send({ payload: new TextEncoder().encode(String(at)), key: `k${at % KEYS}` });
          this.#stored.add(at);
        } catch (error) {
          this.#refused.push(error);
        }
      }),
    );
  }

  /** Closes the producer. */
  close(): Promise<void> {
    return this.#producer.close();
  }

  /** Waits until `condition` holds, up to a minute. */
  async until(condition: () => boolean, what: string): Promise<void> {
    for (let waitedMs = 0; !condition() && waitedMs < PATIENCE_MS; waitedMs += LOOK_MS) {
      await this.#options.wait(LOOK_MS);
    }
    assert.ok(condition(), what);
  }

  /** Sends until a message comes that was sent after now: what is on its way may be refused. */
  async goesOn(): Promise<void> {
    const before = this.received;
    for (let waitedMs = 0; this.received === before && waitedMs < PATIENCE_MS; waitedMs += LOOK_MS) {
      await this.send(10);
      await this.#options.wait(LOOK_MS);
    }
    assert.ok(this.received > before, 'messages come again');
  }

  /**
   * What holds whatever happened: nothing that was acknowledged is lost, and what was refused may be stored; by a transport that sends again none is refused.
   * Nothing is stored twice that the transport sent again by itself. Each message of a key comes for the first time in its order.
   */
  async check(): Promise<void> {
    const missing = (): number[] => {
      const seen = new Set(this.#received.map(({ at }) => at));
      return [...this.#stored].filter((at) => !seen.has(at));
    };
    await this.until(() => missing().length === 0, 'everything that was acknowledged comes');
    assert.equal(this.unsettled, 0);
    assert.ok(this.#stored.size > 0, 'something was stored');
    none(this.#refused, (error) => !(PulsarError.is(error) && error.ambiguous), 'refused for sure');
    if (this.#options.resends === true) {
      none(this.#refused, () => true, 'refused');
    }
    none(this.#closed, () => true, 'told to a consumer as its end');
    none(this.#ackFailures, (error) => !PulsarError.is(error), 'an acknowledgement was refused with');
    for (let key = 0; key < KEYS; key++) {
      // A message may come again after the broker forgot an acknowledgement.
      const firsts = [...new Set(this.#received.filter((one) => one.key === `k${key}`).map(({ at }) => at))];
      assert.deepEqual(
        firsts,
        firsts.toSorted((a, b) => a - b),
        `order of k${key}`,
      );
    }
    const places = new Map<number, Set<string>>();
    for (const { at, id } of this.#received) {
      places.set(at, (places.get(at) ?? new Set()).add(id));
    }
    const twice = [...places.values()].filter(({ size }) => size > 1).length;
    // A message whose acknowledgement was lost is its sender's to send again, where the transport does not.
    assert.ok(twice <= this.#refused.length, `${twice} are stored twice, ${this.#refused.length} were refused`);
  }

  async #consume(): Promise<void> {
    const { to, topic } = this.#options;
    const consumer = await to.subscribe(
      { topic, subscription: 's', type: 'Shared', initialPosition: 'earliest', durable: true },
      {
        onMessage: (message) => {
          this.#received.push({ key: message.key ?? '', at: Number(textOf(message)), id: String(message.id) });
          consumer.permit(1);
          // One that a lost connection took along brings its message again.
          consumer.ack(message.id).catch((error: unknown) => this.#ackFailures.push(error));
        },
        onClosed: (error) => void this.#closed.push(error),
      },
    );
    consumer.permit(1_000);
  }
}

/** One error says it: a list of them takes longer to print than the test. */
function none(errors: readonly unknown[], isOne: (error: unknown) => boolean, what: string): void {
  const found = errors.filter(isOne);
  assert.equal(found.length, 0, `${found.length} of ${errors.length}: ${what}: ${String(found[0])}`);
}
