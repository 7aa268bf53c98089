import { Injectable } from '@nestjs/common';
import type { PulsarConsumerHandle } from './consumer-options.js';

/** The app's consumers, by id: what to pause, resume and look at while it runs. */
@Injectable()
export class PulsarRegistry {
  readonly #consumers = new Map<string, PulsarConsumerHandle>();

  /** Every consumer that is registered and not closed, in the order of registration. */
  list(): readonly PulsarConsumerHandle[] {
    return [...this.#consumers.values()];
  }

  /** The consumer of that id, or `undefined`. */
  get(id: string): PulsarConsumerHandle | undefined {
    return this.#consumers.get(id);
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
