import { PulsarError, type PulsarTransport, type TransportProducer } from '@smartpulse/pulsar';
import { expect } from 'vitest';

const KEYS = 8;

/** Messages with numbers from one transport to another, and what became of them. */
export class Traffic {
  readonly #received: { readonly key: string; readonly at: number; readonly id: string }[] = [];
  readonly #stored = new Set<number>();
  readonly #refused: unknown[] = [];
  #producer: TransportProducer | undefined;
  #next = 0;

  private constructor(private readonly transports: readonly PulsarTransport[]) {}

  static async between(one: PulsarTransport, two: PulsarTransport, topic: string): Promise<Traffic> {
    const traffic = new Traffic([one, two]);
    await Promise.all([one.connect(), two.connect()]);
    await traffic.#consume(two, topic);
    traffic.#producer = await one.createProducer({
      topic,
      batching: { enabled: true, maxMessages: 50, maxBytes: 131_072, maxDelayMs: 1 },
      maxPendingMessages: 1_000,
      maxPendingBytes: 10_000_000,
      compression: 'none',
      sendTimeoutMs: one.capabilities.endlessSends ? 0 : 300_000,
    });
    return traffic;
  }

  get received(): number {
    return this.#received.length;
  }

  /** Sends that are neither stored nor refused. */
  get unsettled(): number {
    return this.#next - this.#stored.size - this.#refused.length;
  }

  /** Whether every send has been stored or refused. */
  get settled(): boolean {
    return this.unsettled === 0;
  }

  send(count: number): Promise<void>[] {
    return Array.from({ length: count }, async () => {
      const at = this.#next++;
      try {
        await this.#producer?.send({ payload: Buffer.from(String(at)), key: `k${at % KEYS}` });
        this.#stored.add(at);
      } catch (error) {
        this.#refused.push(error);
      }
    });
  }

  /** @param resends whether nothing may be refused, and nothing stored twice. */
  async check(resends: boolean): Promise<void> {
    const missing = (): number[] => {
      const seen = new Set(this.#received.map(({ at }) => at));
      return [...this.#stored].filter((at) => !seen.has(at));
    };
    await expect.poll(missing, { timeout: 60_000 }).toEqual([]);
    expect(this.settled).toBe(true);
    expect(this.#stored.size).toBeGreaterThan(0);
    expect(this.#refused.every((error) => PulsarError.is(error) && error.ambiguous)).toBe(true);
    if (resends) {
      expect(this.#refused).toEqual([]);
    }
    for (let key = 0; key < KEYS; key++) {
      // A message may come again after the broker forgot an acknowledgement; each comes for the first time in its order.
      const firsts = [...new Set(this.#received.filter((one) => one.key === `k${key}`).map(({ at }) => at))];
      expect(firsts).toEqual([...firsts].sort((a, b) => a - b));
    }
    const places = new Map<number, Set<string>>();
    for (const { at, id } of this.#received) {
      places.set(at, (places.get(at) ?? new Set()).add(id));
    }
    const twice = [...places.values()].filter(({ size }) => size > 1).length;
    // Without sequence ids a message whose acknowledgement was lost is the sender's to send again, and may then stand there twice.
    expect(twice).toBeLessThanOrEqual(resends ? 0 : this.#refused.length);
    await Promise.all(this.transports.map((transport) => transport.close()));
  }

  async #consume(transport: PulsarTransport, topic: string): Promise<void> {
    const consumer = await transport.subscribe(
      { topic, subscription: 's', type: 'Shared', initialPosition: 'earliest', durable: true },
      {
        onMessage: ({ id, key = '', payload }) => {
          this.#received.push({ key, at: Number(Buffer.from(payload).toString()), id: String(id) });
          consumer.permit(1);
          // One that a lost connection took along brings its message again.
          consumer.ack(id).catch((error: unknown) => expect(PulsarError.is(error)).toBe(true));
        },
        onClosed: (error) => expect.fail(String(error)),
      },
    );
    consumer.permit(1_000);
  }
}
