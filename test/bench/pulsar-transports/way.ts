import type { Settings, Throughput } from './job.ts';

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

/** No client, but the bytes of one: the least that any client in Node can take. It times itself, from where the messages begin to move. */
export interface ByteWay {
  publish(topic: string, messages: number, bytes: number, started: Stopwatch): Promise<Throughput>;
  consume(
    topic: string,
    subscription: string,
    messages: number,
    bytes: number,
    started: Stopwatch,
  ): Promise<Throughput>;
  close(): Promise<unknown>;
}

/** Starts; the answer stops. */
export type Stopwatch = () => () => Throughput;

/** Says why this contestant cannot take part, in a sentence. */
export class NotHere extends Error {
  override readonly name = 'NotHere';
}

export type OpenWay = (settings: Settings) => Promise<Way<unknown> | ByteWay>;
