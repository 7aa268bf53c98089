/** What the server said, as far as a driver's error holds it. */
export interface ServerMessage {
  readonly number: number;
  /** Severity; from 20 on the connection is gone. */
  readonly severity: number | null;
  readonly message: string;
}

/** A driver's error, taken apart. */
export interface DriverError {
  /** Errors that the server sent, the cause first. */
  readonly messages: readonly ServerMessage[];
  /** The driver's codes, the outermost first. */
  readonly codes: readonly string[];
  /** The names of the error's classes, the outermost first. */
  readonly names: readonly string[];
}

/** How deep errors are unwrapped: TypeORM's error holds mssql's, which holds tedious's, which may hold several. */
const DEEPEST = 8;

/**
 * Takes an error of TypeORM, mssql or tedious apart, with their traps:
 *
 * - mssql's `number` is a text when the server said nothing ("ETIMEOUT"): only numbers count;
 * - of several errors mssql reports the last (5069 "ALTER DATABASE failed"), the cause stands in `precedingErrors`, and tedious alone
 *   throws an `AggregateError`;
 * - mssql hides the class of an error in `class`, tedious in `originalError.info`;
 * - TypeORM copies fields of the driver's error onto its own; the error itself is `driverError`.
 */
export function readDriverError(error: unknown): DriverError {
  const messages: ServerMessage[] = [];
  const codes: string[] = [];
  const names: string[] = [];
  const seen = new Set<object>();
  const visit = (value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null || seen.has(value) || depth > DEEPEST) {
      return;
    }
    seen.add(value);
    const driverError = field(value, 'driverError');
    if (driverError !== undefined) {
      visit(driverError, depth + 1);
      return;
    }
    listOf(value, 'precedingErrors').forEach((one) => visit(one, depth + 1));
    listOf(value, 'errors').forEach((one) => visit(one, depth + 1));
    const message = messageOf(value);
    if (message !== undefined && !messages.some(({ number }) => number === message.number)) {
      messages.push(message);
    }
    const [code, name] = [field(value, 'code'), field(value, 'name')];
    if (typeof code === 'string') {
      codes.push(code);
    }
    if (typeof name === 'string') {
      names.push(name);
    }
    visit(field(value, 'originalError'), depth + 1);
    visit(field(value, 'cause'), depth + 1);
  };
  visit(error, 0);
  return { messages, codes, names };
}

function messageOf(error: object): ServerMessage | undefined {
  const number = field(error, 'number');
  if (typeof number === 'number') {
    return { number, severity: numberOrNull(field(error, 'class')), message: textOf(field(error, 'message')) };
  }
  const info = field(error, 'info');
  return typeof info === 'object' && info !== null ? messageOf(info) : undefined;
}

function field(value: object, name: string): unknown {
  const read: unknown = Reflect.get(value, name);
  return read;
}

function listOf(value: object, name: string): readonly unknown[] {
  const list = field(value, name);
  return Array.isArray(list) ? list : [];
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
