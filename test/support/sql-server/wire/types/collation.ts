/** SQL_Latin1_General_CP1_CI_AS: language 0x0409, case and width ignored, sort order 52. */
export const COLLATION: Buffer = Buffer.from([0x09, 0x04, 0xd0, 0x00, 0x34]);

const UTF8_FLAG = 0x0400_0000;
const windows1252 = new TextDecoder('windows-1252');

/** Characters whose code in the code page is that of Unicode. */
const AS_LATIN_1 = /^[ -~\u00a0-\u00ff]*$/;

/** `varchar` text of a client, by the collation that came with it. */
export function decodeNarrow(bytes: Buffer, collation: Buffer): string {
  return (collation.readUInt32LE(0) & UTF8_FLAG) === 0 ? windows1252.decode(bytes) : bytes.toString('utf8');
}

/** `varchar` text in the server's own code page; what it has not becomes a question mark, as on SQL Server. */
export function encodeNarrow(text: string): Buffer {
  if (AS_LATIN_1.test(text)) {
    return Buffer.from(text, 'latin1');
  }
  return Buffer.from(Array.from(text, (character) => CODE_OF.get(character) ?? 0x3f));
}

const CODE_OF: ReadonlyMap<string, number> = new Map(
  Array.from({ length: 256 }, (_, code) => [windows1252.decode(Buffer.from([code])), code]),
);
