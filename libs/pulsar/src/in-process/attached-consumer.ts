import type { TransportConsumerListener } from '../transport/pulsar.transport.js';
import { Fifo } from './fifo.js';
import type { StoredMessage } from './stored-message.js';

/** The messages of one key that wait for its owner, on a Key_Shared subscription. */
export interface KeyLane {
  readonly key: string;
  readonly owner: AttachedConsumer;
  /** Delivered to the owner and not settled. */
  unacked: number;
  /** Read and not delivered because the owner has no permits; by position. */
  readonly waiting: StoredMessage[];
}

/** What a subscription knows of one consumer. */
export class AttachedConsumer {
  permits = 0;
  /** By position. */
  readonly unacked = new Map<number, StoredMessage>();
  /** Lanes with waiting messages, each once. */
  readonly waitingLanes = new Fifo<KeyLane>();
  attached = true;

  constructor(
    readonly name: string,
    readonly listener: TransportConsumerListener,
  ) {}
}
