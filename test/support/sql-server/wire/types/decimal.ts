/** Exact decimals as text: what SQL Server stores is an integer and a scale. */

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;

/** The integer that stands for the text at this scale. @throws RangeError when a digit would be lost. */
export function unscaled(text: string, precision: number, scale: number): bigint {
  const [, sign, whole, fraction = ''] = DECIMAL.exec(text) ?? [];
  if (whole === undefined || fraction.length > scale) {
    throw new RangeError(`${JSON.stringify(text)} is no decimal(${precision},${scale})`);
  }
  const magnitude = BigInt(whole + fraction.padEnd(scale, '0'));
  if (magnitude >= 10n ** BigInt(precision)) {
    throw new RangeError(`${text} does not fit decimal(${precision},${scale})`);
  }
  return sign === '-' ? -magnitude : magnitude;
}

/** The text of an integer at this scale: all digits of the scale, a leading zero, no other. */
export function scaledText(value: bigint, scale: number): string {
  const negative = value < 0n;
  const digits = (negative ? -value : value).toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const fraction = scale === 0 ? '' : `.${digits.slice(-scale)}`;
  return `${negative ? '-' : ''}${whole}${fraction}`;
}

/** Bytes of a decimal's magnitude, by its precision. */
export function magnitudeBytes(precision: number): number {
  return precision <= 9 ? 4 : precision <= 19 ? 8 : precision <= 28 ? 12 : 16;
}

export function encodeDecimal(text: string, precision: number, scale: number): Buffer {
  const value = unscaled(text, precision, scale);
  const bytes = Buffer.alloc(1 + magnitudeBytes(precision));
  bytes.writeUInt8(value < 0n ? 0 : 1, 0);
  let rest = value < 0n ? -value : value;
  for (let index = 1; rest > 0n; index += 1) {
    bytes.writeUInt8(Number(rest & 0xffn), index);
    rest >>= 8n;
  }
  return bytes;
}

export function decodeDecimal(bytes: Buffer, scale: number): string {
  let magnitude = 0n;
  for (let index = bytes.length - 1; index > 0; index -= 1) {
    magnitude = (magnitude << 8n) | BigInt(bytes.readUInt8(index));
  }
  return scaledText(bytes.readUInt8(0) === 0 ? -magnitude : magnitude, scale);
}

const MONEY_PRECISION = 19;
const MONEY_SCALE = 4;

/** `money`: ten-thousandths in eight bytes, the upper four first. */
export function encodeMoney(text: string): Buffer {
  const value = BigInt.asUintN(64, unscaled(text, MONEY_PRECISION, MONEY_SCALE));
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(Number(value >> 32n), 0);
  bytes.writeUInt32LE(Number(value & 0xffff_ffffn), 4);
  return bytes;
}

/** `money` of eight bytes or `smallmoney` of four. */
export function decodeMoney(bytes: Buffer): string {
  const value =
    bytes.length === 4
      ? BigInt(bytes.readInt32LE())
      : (BigInt(bytes.readInt32LE(0)) << 32n) | BigInt(bytes.readUInt32LE(4));
  return scaledText(value, MONEY_SCALE);
}
