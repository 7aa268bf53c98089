const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The first three groups travel with their bytes reversed. */
export function encodeGuid(text: string): Buffer {
  if (!GUID.test(text)) {
    throw new RangeError(`${JSON.stringify(text)} is no uniqueidentifier`);
  }
  return swapped(Buffer.from(text.replaceAll('-', ''), 'hex'));
}

/** In upper case, as SQL Server writes it. */
export function decodeGuid(bytes: Buffer): string {
  const hex = swapped(Buffer.from(bytes)).toString('hex').toUpperCase();
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function swapped(bytes: Buffer): Buffer {
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}
