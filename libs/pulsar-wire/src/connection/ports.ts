import type { CommandFields } from '../protocol/command/commands.js';
import type { MessageHeader, SendReceipt } from '../protocol/frame/hot-commands.js';
import type { IntakeSlab } from '../protocol/frame/intake-slab.js';
import type { Connection } from './connection.js';

/** What a connection tells a producer that is registered on it. */
export interface ProducerPort {
  onReceipt(receipt: SendReceipt): void;
  onSendError(error: CommandFields<'sendError'>): void;
  /** The registration is gone: with the connection, or by a word of the broker, which may name its successor. */
  onGone(connection: Connection, cause: unknown, brokerUrl?: string): void;
}

/** What a connection tells a consumer that is registered on it. */
export interface ConsumerPort {
  /**
   * An entry in `bytes[start, end)`: valid for as long as somebody holds them, and keeping the whole buffer alive.
   *
   * @param memory held for the entry: whoever is done with it may release it.
   */
  onEntry(header: MessageHeader, bytes: Buffer, start: number, end: number, memory?: IntakeSlab): void;
  onActiveChange(isActive: boolean): void;
  onEndOfTopic(): void;
  /** As {@link ProducerPort.onGone}. */
  onGone(connection: Connection, cause: unknown, brokerUrl?: string): void;
}
