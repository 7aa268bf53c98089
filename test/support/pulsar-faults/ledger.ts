import assert from 'node:assert/strict';
import type { MessageHandler, PulsarContext, PulsarPublisher } from '@smartpulse/pulsar';

/** What is published: its number and its key. */
export interface Numbered {
  readonly at: number;
  readonly key: string;
}

/** How a handler run behaves; a throw is a failed run. */
export type Behaviour = (message: Numbered, context: PulsarContext) => Promise<void> | void;

const KEYS = 4;

/** Who got what: the books that the invariants of delivery are read from. */
export class Ledger {
  readonly stored = new Set<number>();
  readonly starts: Numbered[] = [];
  readonly done: number[] = [];
  readonly letters: number[] = [];
  #next = 0;

  /** A handler that keeps the books and behaves. */
  handler(behave: Behaviour): MessageHandler<Numbered> {
    return async (message, context) => {
      this.starts.push(message);
      await behave(message, context);
      this.done.push(message.at);
    };
  }

  /** Publishes numbered messages at once. @throws what the publisher throws: here nothing may be refused. */
  async publish(publisher: PulsarPublisher, topic: string, count: number): Promise<void> {
    const messages = Array.from({ length: count }, () => this.#next++).map((at) => ({ at, key: `k${at % KEYS}` }));
    await Promise.all(
      messages.map(async (message) => {
        await publisher.publish(topic, message, { key: message.key });
        this.stored.add(message.at);
      }),
    );
  }

  /** Stored messages that are neither handled nor given up. */
  get open(): number[] {
    const closed = new Set([...this.done, ...this.letters]);
    return [...this.stored].filter((at) => !closed.has(at));
  }

  /** Handler runs that ended well, and letters, beyond one for each message. */
  get duplicates(): number {
    const ended = [...this.done, ...this.letters];
    return ended.length - new Set(ended).size;
  }

  /** How often a message's handler began. */
  runsOf(at: number): number {
    return this.starts.filter((one) => one.at === at).length;
  }

  /**
   * @param order `strict`: no message of a key begins before the one before it has ended, retries included; `firsts`: each begins for the first
   *   time in its order.
   */
  check({ duplicates, order }: { readonly duplicates: number; readonly order: 'strict' | 'firsts' }): void {
    assert.deepEqual(this.open, [], 'stored, and neither handled nor given up');
    assert.ok(this.duplicates <= duplicates, `${this.duplicates} duplicates, at most ${duplicates} were expected`);
    for (let key = 0; key < KEYS; key++) {
      const starts = this.starts.filter((one) => one.key === `k${key}`).map(({ at }) => at);
      const seen = order === 'strict' ? starts.filter((at, index) => at !== starts[index - 1]) : [...new Set(starts)];
      assert.deepEqual(
        seen,
        [...seen].sort((a, b) => a - b),
        `order of k${key}`,
      );
    }
  }
}
