import { ByteReader, WireFormatError } from '../bytes/byte-reader.js';

/** What the two sides say about encryption. */
export const Encryption = { off: 0x00, on: 0x01, notSupported: 0x02, required: 0x03 } as const;

const Option = { version: 0x00, encryption: 0x01, instance: 0x02, threadId: 0x03, mars: 0x04, end: 0xff } as const;

/** The encryption that a client asks for. */
export function readPreLogin(payload: Buffer): { readonly encryption: number } {
  const reader = new ByteReader(payload);
  for (let token = reader.u8(); token !== Option.end; token = reader.u8()) {
    const offset = reader.raw(2).readUInt16BE();
    const length = reader.raw(2).readUInt16BE();
    if (offset + length > payload.length) {
      throw new WireFormatError(`a pre-login option at ${offset} of ${length} bytes`);
    }
    if (token === Option.encryption && length > 0) {
      return { encryption: payload.readUInt8(offset) };
    }
  }
  return { encryption: Encryption.notSupported };
}

/** The answer: version, encryption, no instance check, one request at a time. */
export function preLoginAnswer(version: Buffer, encryption: number): Buffer {
  const options: readonly (readonly [number, Buffer])[] = [
    [Option.version, Buffer.concat([version, Buffer.from([0, 0])])],
    [Option.encryption, Buffer.from([encryption])],
    [Option.instance, Buffer.from([0])],
    [Option.threadId, Buffer.alloc(0)],
    [Option.mars, Buffer.from([0])],
  ];
  const table = Buffer.alloc(options.length * 5 + 1, Option.end);
  let offset = table.length;
  for (const [index, [token, data]] of options.entries()) {
    table.writeUInt8(token, index * 5);
    table.writeUInt16BE(offset, index * 5 + 1);
    table.writeUInt16BE(data.length, index * 5 + 3);
    offset += data.length;
  }
  return Buffer.concat([table, ...options.map(([, data]) => data)]);
}
