import { type Settings } from './job.ts';

/** The producer of a way. */
export interface WayProducer {
  /** Resolves when the broker has stored it. */
  send(payload: Uint8Array): Promise<unknown>;
  close(): Promise<unknown>;
}

/** The consumer of a way; Shared, from the earliest message on. */
export interface WayConsumer<TId> {
  permit(count: number): void;
  ack(id: TId): Promise<unknown>;
  close(): Promise<unknown>;
}

/** One way to a broker, as thin as it can be laid over what is measured. */
export interface Way<TId> {
  createProducer(topic: string): Promise<WayProducer>;
  subscribe(
    topic: string,
    subscription: string,
    onMessage: (id: TId, payload: Uint8Array) => void,
  ): Promise<WayConsumer<TId>>;
  close(): Promise<unknown>;
}

/** Says why this contestant cannot take part, in a sentence. */
export class NotHere extends Error {
  override readonly name = 'NotHere';
}

export type OpenWay = (settings: Settings) => Promise<Way<unknown>>;
