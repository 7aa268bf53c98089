/** A decimal as an integer and the number of its fraction digits. */
export interface ScaledDecimal {
  readonly units: bigint;
  readonly scale: number;
}

/** @returns `undefined` when the text is no plain decimal. */
export function parseDecimal(text: string): ScaledDecimal | undefined {
  const match = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?\s*$/i.exec(text);
  if (match === null || `${match[2]}${match[3] ?? ''}` === '') {
    return undefined;
  }
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const units = BigInt(`${whole}${fraction}`) * (sign === '-' ? -1n : 1n);
  const scale = fraction.length - Number(exponent);
  return scale < 0 ? { units: units * 10n ** BigInt(-scale), scale: 0 } : { units, scale };
}

/** With another number of fraction digits, rounded half away from zero. */
export function rescale({ units, scale }: ScaledDecimal, to: number): ScaledDecimal {
  if (to >= scale) {
    return { units: units * 10n ** BigInt(to - scale), scale: to };
  }
  const divisor = 10n ** BigInt(scale - to);
  const half = divisor / 2n;
  return { units: (units < 0n ? units - half : units + half) / divisor, scale: to };
}

export function formatDecimal({ units, scale }: ScaledDecimal): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  const sign = units < 0n ? '-' : '';
  return scale === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

export function compareDecimals(left: ScaledDecimal, right: ScaledDecimal): number {
  const scale = Math.max(left.scale, right.scale);
  const [a, b] = [rescale(left, scale).units, rescale(right, scale).units];
  return a < b ? -1 : Number(a > b);
}
