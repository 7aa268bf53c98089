/**
 * Rounds megawatts to two digits, half away from zero, and answers hundredths: whole numbers, so that sums are exact.
 *
 * The number's shortest decimal text decides, which is what the client wrote: 1.005 becomes 101, though the nearest double lies below it.
 */
export function toHundredths(megawatts: number): number {
  const [mantissa = '0', exponent = '0'] = Math.abs(megawatts).toString().split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  const digits = whole + fraction;
  // The position of the decimal point in `digits` after moving it two places to the right.
  const point = whole.length + Number(exponent) + 2;
  const padded = point > digits.length ? digits.padEnd(point, '0') : digits;
  const kept = point <= 0 ? 0 : Number(padded.slice(0, point));
  const next = point < 0 ? 0 : Number(padded.charAt(point) || '0');
  const magnitude = next >= 5 ? kept + 1 : kept;
  return megawatts < 0 && magnitude !== 0 ? -magnitude : magnitude;
}

/** Hundredths as megawatts: prints with at most two digits. */
export function fromHundredths(hundredths: number): number {
  return hundredths / 100;
}

/** Divides whole numbers, half away from zero. Exact below 2^53. */
export function divideRounded(dividend: number, divisor: number): number {
  const quotient = Math.trunc(dividend / divisor);
  const remainder = Math.abs(dividend - quotient * divisor);
  return remainder * 2 >= divisor ? quotient + Math.sign(dividend) : quotient;
}
