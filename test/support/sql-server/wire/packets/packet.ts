/** Bytes of a packet's header: type, status, length (big-endian), process id, packet number, window. */
export const HEADER_BYTES = 8;

/** What a packet carries. */
export const PacketType = {
  sqlBatch: 0x01,
  rpc: 0x03,
  reply: 0x04,
  attention: 0x06,
  bulkLoad: 0x07,
  transactionManager: 0x0e,
  login7: 0x10,
  sspi: 0x11,
  preLogin: 0x12,
} as const;

/** Bits of a packet's status. */
export const PacketStatus = {
  endOfMessage: 0x01,
  /** The client gave the message up before it was whole. */
  ignore: 0x02,
  resetConnection: 0x08,
  resetConnectionKeepTransaction: 0x10,
} as const;

/** One whole message of a client, its packets joined. */
export interface ClientMessage {
  readonly type: number;
  /** The status bits of all its packets. */
  readonly status: number;
  readonly payload: Buffer;
}
