import { InvalidEntryVersionError } from '../redis-cache.errors.js';

const EPOCH_DIGITS = 10;
const VERSION_DIGITS = 25;
const MINOR_DIGITS = 10;
const DIGITS = /^\d{45}$/;
const MAX_EPOCH = 10n ** BigInt(EPOCH_DIGITS) - 1n;
const MAX_VERSION = (1n << 80n) - 1n;
const MAX_MINOR = 10n ** BigInt(MINOR_DIGITS) - 1n;

/**
 * The one version type of the house: (epoch, version, minor), ordered in that sequence.
 *
 * A stamp s on a cache entry means: the value reflects every commit up to s, perhaps later ones. Versions are born in the
 * database and only compared, never invented. `epoch` is the ordinal of the database's history (0 to 10 digits), `version`
 * holds up to 80 bits (a SQL Server log sequence number fits), `minor` counts implicit writes in namespaces that have no
 * source of versions.
 *
 * The text form has 45 decimal digits of fixed width (10 + 25 + 10), so comparing two texts compares two versions; a Lua
 * number is a double and would lie above 2^53.
 */
export class EntryVersion {
  /** Lower than every version that a source can give. */
  static readonly ZERO = new EntryVersion(0n, 0n, 0n);

  /** Made once: a version that is written is told of, too. */
  #text: string | undefined;

  /** @throws {@link InvalidEntryVersionError} when a part is negative or too large. */
  constructor(
    readonly epoch: bigint,
    readonly version: bigint,
    readonly minor: bigint = 0n,
  ) {
    if (epoch < 0n || epoch > MAX_EPOCH || version < 0n || version > MAX_VERSION || minor < 0n || minor > MAX_MINOR) {
      throw new InvalidEntryVersionError(`${epoch}.${version}.${minor}`);
    }
  }

  /**
   * Reads the text form.
   *
   * @throws {@link InvalidEntryVersionError} when `text` is not 45 decimal digits.
   */
  static parse(text: string): EntryVersion {
    const version = EntryVersion.read(text);
    if (version === undefined) {
      throw new InvalidEntryVersionError(text);
    }
    return version;
  }

  /**
   * Reads the text form; `undefined` when `text` is not 45 decimal digits.
   *
   * @throws {@link InvalidEntryVersionError} when its second part is above 80 bits.
   */
  static read(text: string): EntryVersion | undefined {
    return DIGITS.test(text)
      ? new EntryVersion(
          BigInt(text.slice(0, EPOCH_DIGITS)),
          BigInt(text.slice(EPOCH_DIGITS, EPOCH_DIGITS + VERSION_DIGITS)),
          BigInt(text.slice(EPOCH_DIGITS + VERSION_DIGITS)),
        )
      : undefined;
  }

  /** The larger of two versions. */
  static max(a: EntryVersion, b: EntryVersion): EntryVersion {
    return a.compare(b) >= 0 ? a : b;
  }

  /** Below 0: older than `other`; 0: equal; above 0: newer. */
  compare(other: EntryVersion): -1 | 0 | 1 {
    return order(this.epoch, other.epoch) || order(this.version, other.version) || order(this.minor, other.minor);
  }

  /** The text form: 45 decimal digits. */
  toString(): string {
    this.#text ??=
      String(this.epoch).padStart(EPOCH_DIGITS, '0') +
      String(this.version).padStart(VERSION_DIGITS, '0') +
      String(this.minor).padStart(MINOR_DIGITS, '0');
    return this.#text;
  }

  toJSON(): string {
    return this.toString();
  }
}

function order(a: bigint, b: bigint): -1 | 0 | 1 {
  return a < b ? -1 : a > b ? 1 : 0;
}
