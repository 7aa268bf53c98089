const PARTS = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(?: ([+-])(\d\d):(\d\d))?$/;

/**
 * Turns SQL Server's text of a `datetime`, `datetime2` or `smalldatetime`, which say no zone and are UTC here, into UTC text of one form:
 * milliseconds always, further digits only where they say something. So one instant has one text, and none loses a digit.
 */
export function instantText(sql: string): string {
  const match = PARTS.exec(sql);
  if (match === null) {
    return sql;
  }
  const [, date, time, fraction = ''] = match;
  return `${date}T${time}.${digitsOf(fraction)}Z`;
}

/** As {@link instantText}, of a `datetimeoffset`: the offset itself is not kept. */
export function offsetInstantText(sql: string): string {
  const match = PARTS.exec(sql);
  if (match === null) {
    return sql;
  }
  const [, date, time, fraction = '', sign = '+', hours = '00', minutes = '00'] = match;
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1);
  const atMs = Date.parse(`${date}T${time}Z`) - offsetMs;
  return `${new Date(atMs).toISOString().slice(0, 19)}.${digitsOf(fraction)}Z`;
}

function digitsOf(fraction: string): string {
  const digits = fraction.padEnd(3, '0');
  return digits.slice(0, 3) + digits.slice(3).replace(/0+$/, '');
}
