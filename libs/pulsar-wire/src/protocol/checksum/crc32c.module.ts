/**
 * The loops of CRC-32C as a WebAssembly module, put together here: 644 bytes that a reader can check against what they are made of, instead of a
 * binary that nobody can. Needs no bounds check per byte, and three checksums at a time keep the processor from waiting for its tables.
 */

/** Where things lie in the module's memory, in bytes. */
export const LAYOUT = Object.freeze({
  /** Eight tables of 256 words. */
  tables: 0,
  /** Where `lanes` leaves the checksums of its first two lanes. */
  results: 8_192,
  data: 8_448,
  /** A lane's length. */
  lane: 1_024,
  /** What `data` may hold. */
  capacity: 131_072,
});
const PAGE = 65_536;

/** What the module exports. */
export interface Crc32cModule {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Goes on from `crc` (inverted) over `[from, to)`, a multiple of 8 bytes. */
  run(from: number, to: number, crc: number): number;
  /** Three lanes one behind the other from `from` on, the first of which goes on from `crc`; answers the third's, see `LAYOUT.results`. */
  lanes(from: number, crc: number): number;
}

type Code = readonly number[];

const I32 = 0x7f;
const [BLOCK, LOOP, END, BR, BR_IF, GET, SET, LOAD, STORE, CONST] = [
  0x02, 0x03, 0x0b, 0x0c, 0x0d, 0x20, 0x21, 0x28, 0x36, 0x41,
];
const [LT_U, GE_U, ADD, AND, XOR, SHL, SHR_U] = [0x49, 0x4f, 0x6a, 0x71, 0x73, 0x74, 0x76];
const NOTHING = 0x40;
const FUNCTION = 0x60;
const MAGIC_AND_VERSION: Code = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const [TYPES, FUNCTIONS, MEMORIES, EXPORTS, BODIES] = [1, 3, 5, 7, 10];

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) {
    bytes.push((value & 0x7f) | 0x80);
  }
  return [...bytes, value];
}

/** Signed LEB128. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  for (; value < -64 || value > 63; value >>= 7) {
    bytes.push((value & 0x7f) | 0x80);
  }
  return [...bytes, value & 0x7f];
}

/** Opcodes and their operands, one behind the other. */
const code = (...parts: readonly (number | Code)[]): Code => parts.flat();
const get = (local: number): Code => code(GET, unsigned(local));
const set = (local: number): Code => code(SET, unsigned(local));
const constant = (value: number): Code => code(CONST, signed(value));
/** A word at an address that lies on the stack. */
const word = (offset: number): Code => code(LOAD, 2, unsigned(offset));
const vector = (items: readonly Code[]): Code => code(unsigned(items.length), ...items);
const section = (id: number, content: Code): Code => code(id, unsigned(content.length), content);
const named = (text: string): Code => vector([...Buffer.from(text, 'utf8')].map((byte) => [byte]));

/** The entry of a table for one byte of `source`, byte 0 being the lowest. */
function entry(source: number, byte: number, table: number): Code {
  const at = (): Code => {
    switch (byte) {
      case 0:
        return code(constant(0xff), AND, constant(2), SHL);
      case 3:
        return code(constant(24), SHR_U, constant(2), SHL);
      default:
        return code(constant(byte * 8 - 2), SHR_U, constant(0xff << 2), AND);
    }
  };
  return code(get(source), at(), word(LAYOUT.tables + table * 1_024));
}

/** Eight bytes at `at` + `offset` into the checksum `crc`; `low` and `high` are scratch. */
function step(crc: number, at: number, offset: number, low: number, high: number): Code {
  const [first = [], ...others] = [0, 1, 2, 3, 4, 5, 6, 7].map((byte) =>
    entry(byte < 4 ? low : high, byte % 4, 7 - byte),
  );
  return code(
    code(get(at), word(offset), get(crc), XOR, set(low)),
    code(get(at), word(offset + 4), set(high)),
    code(first, ...others.map((other) => code(other, XOR)), set(crc)),
  );
}

function advance(local: number): Code {
  return code(get(local), constant(8), ADD, set(local));
}

function runCode(): Code {
  const [from, to, crc, low, high] = [0, 1, 2, 3, 4];
  return code(
    code(BLOCK, NOTHING, LOOP, NOTHING, get(from), get(to), GE_U, BR_IF, 1),
    step(crc, from, LAYOUT.data, low, high),
    code(advance(from), BR, 0, END, END, get(crc)),
  );
}

function lanesCode(): Code {
  const [from, first, to, second, third, low, high] = [0, 1, 2, 3, 4, 5, 6];
  const { data, lane, results } = LAYOUT;
  return code(
    code(get(from), constant(lane), ADD, set(to), LOOP, NOTHING),
    step(first, from, data, low, high),
    step(second, from, data + lane, low, high),
    step(third, from, data + 2 * lane, low, high),
    code(advance(from), get(from), get(to), LT_U, BR_IF, 0, END),
    code(constant(0), get(first), STORE, 2, unsigned(results)),
    code(constant(0), get(second), STORE, 2, unsigned(results + 4)),
    get(third),
  );
}

/** A function with so many words of scratch. */
function body(scratch: number, instructions: Code): Code {
  const whole = code(vector([code(unsigned(scratch), I32)]), instructions, END);
  return code(unsigned(whole.length), whole);
}

/** The module's bytes, by the binary format of WebAssembly 1.0. Addresses are relative to `LAYOUT.data`. */
export function crc32cModuleBytes(): Uint8Array<ArrayBuffer> {
  const type = (parameters: number): Code =>
    code(FUNCTION, vector(Array.from({ length: parameters }, () => [I32])), 1, I32);
  const pages = Math.ceil((LAYOUT.data + LAYOUT.capacity) / PAGE);
  return Uint8Array.from(
    code(
      MAGIC_AND_VERSION,
      section(TYPES, vector([type(3), type(2)])),
      section(FUNCTIONS, vector([[0], [1]])),
      section(MEMORIES, vector([code(0, unsigned(pages))])),
      section(EXPORTS, vector([code(named('memory'), 2, 0), code(named('run'), 0, 0), code(named('lanes'), 0, 1)])),
      section(BODIES, vector([body(2, runCode()), body(5, lanesCode())])),
    ),
  );
}
