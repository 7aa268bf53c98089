import { Inject, Injectable } from '@nestjs/common';
import { PulsarAdmin } from '../admin/pulsar.admin.js';
import type { PulsarConsumerHandle } from './consumer-options.js';

/** The app's consumers, by id: what to pause, resume and look at while it runs. */
@Injectable()
export class PulsarRegistry {
  readonly #consumers = new Map<string, PulsarConsumerHandle>();
  readonly #admin: PulsarAdmin;

  constructor(@Inject(PulsarAdmin) admin: PulsarAdmin) {
    this.#admin = admin;
  }

  /** Every consumer that is registered and not closed, in the order of registration. */
  list(): readonly PulsarConsumerHandle[] {
    return [...this.#consumers.values()];
  }

  /** The consumer of that id, or `undefined`. */
  get(id: string): PulsarConsumerHandle | undefined {
    return this.#consumers.get(id);
  }

  /**
   * What the subscription of a consumer has not acknowledged, over all its consumers everywhere; a broker counts entries, and a batch is one.
   * `undefined` when there is no consumer of that id, no subscription yet, or no way to ask: outside `memory://` that needs `adminUrl`.
   *
   * @throws PulsarError when the administration refuses or does not answer.
   */
  async lag(id: string): Promise<number | undefined> {
    const consumer = this.#consumers.get(id);
    return consumer === undefined || !this.#admin.available
      ? undefined
      : this.#admin.backlog(consumer.topic, consumer.subscription);
  }

  /** Pauses the consumer of that id; answers whether there is one. */
  pause(id: string): boolean {
    const consumer = this.#consumers.get(id);
    consumer?.pause();
    return consumer !== undefined;
  }

  /** Lets the consumer of that id go on; answers whether there is one. */
  resume(id: string): boolean {
    const consumer = this.#consumers.get(id);
    consumer?.resume();
    return consumer !== undefined;
  }

  /** @internal */
  add(consumer: PulsarConsumerHandle): void {
    this.#consumers.set(consumer.id, consumer);
  }

  /** @internal */
  remove(id: string): void {
    this.#consumers.delete(id);
  }
}
