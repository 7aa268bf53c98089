/**
 * The loops of CRC-32C as a WebAssembly module, put together here: some 700 bytes that a reader can check against what they are made of, instead of a
 * binary that nobody can.
 */

/**
 * Distances in words of 16 bytes. The polynomial divides x^209 + x^144 + x^54 + x^39 + x^14 + 1, and so it divides that with each x taken to the
 * power of 128: squaring keeps divisibility. So a word may be moved on: put, by exclusive or, into the words that lie so far behind it, and made zero,
 * it leaves the checksum as it is. Of a whole piece only the last 209 words remain, without a table, 16 bytes at a time.
 * No shorter multiple of six terms exists (the code's distance is 8 up to 177 bits of data), and one of four is 25 times as long.
 */
const DISTANCES = [209 - 144, 209 - 54, 209 - 39, 209 - 14, 209];
const WORD = 16;
/** What remains of a piece that was folded, in bytes; less than another word comes on top. */
const REACH = 209 * WORD;

/** Where things lie in the module's memory, in bytes. */
export const LAYOUT = Object.freeze({
  /** Eight tables of 256 words of 4 bytes. */
  tables: 0,
  /** Behind `reach` zero bytes, which stand for what came before the first byte. */
  data: 8_192 + REACH,
  /** What `data` may hold. */
  capacity: 131_072,
  /** Where the rest of a folded piece lies, from `data` on. */
  rest: 131_072,
  reach: REACH,
  word: WORD,
});
const PAGE = 65_536;

/** What the module exports. Addresses are counted from `LAYOUT.data`. */
export interface Crc32cModule {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Goes on from `crc` (inverted) over `[from, to)`, a multiple of 8 bytes. */
  run(from: number, to: number, crc: number): number;
  /** To each word of `[from, to)`, seen `shift` bytes further on, what was moved on to it from before. */
  fold(from: number, to: number, shift: number): void;
}

type Code = readonly number[];

const I32 = 0x7f;
const [BLOCK, LOOP, END, BR, BR_IF, GET, SET, LOAD, CONST] = [0x02, 0x03, 0x0b, 0x0c, 0x0d, 0x20, 0x21, 0x28, 0x41];
const [GE_U, ADD, AND, XOR, SHL, SHR_U] = [0x4f, 0x6a, 0x71, 0x73, 0x74, 0x76];
/** Of 16 bytes at once. */
const [WIDE_LOAD, WIDE_STORE, WIDE_XOR]: readonly [Code, Code, Code] = [
  [0xfd, 0x00, 4],
  [0xfd, 0x0b, 4],
  [0xfd, 0x51],
];
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

/** Repeats the instructions while `at` is below `to`. */
function loop(at: number, to: number, bytes: number, instructions: Code): Code {
  return code(
    code(BLOCK, NOTHING, LOOP, NOTHING, get(at), get(to), GE_U, BR_IF, 1),
    instructions,
    code(get(at), constant(bytes), ADD, set(at), BR, 0, END, END),
  );
}

function runCode(): Code {
  const [from, to, crc, low, high] = [0, 1, 2, 3, 4];
  return code(loop(from, to, 8, step(crc, from, LAYOUT.data, low, high)), get(crc));
}

function foldCode(): Code {
  const [from, to, shift] = [0, 1, 2];
  const target = code(get(from), get(shift), ADD);
  const moved = DISTANCES.map((words) => code(get(from), WIDE_LOAD, unsigned(LAYOUT.data - words * WORD), WIDE_XOR));
  return loop(
    from,
    to,
    WORD,
    code(target, target, WIDE_LOAD, unsigned(LAYOUT.data), ...moved, WIDE_STORE, unsigned(LAYOUT.data)),
  );
}

/** A function with so many words of scratch. */
function body(scratch: number, instructions: Code): Code {
  const whole = code(vector([code(unsigned(scratch), I32)]), instructions, END);
  return code(unsigned(whole.length), whole);
}

/** The module's bytes, by the binary format of WebAssembly 1.0 with its vectors of 128 bits. */
export function crc32cModuleBytes(): Uint8Array<ArrayBuffer> {
  const parameters = vector([[I32], [I32], [I32]]);
  const types = [code(FUNCTION, parameters, vector([[I32]])), code(FUNCTION, parameters, vector([]))];
  const pages = Math.ceil((LAYOUT.data + LAYOUT.rest + LAYOUT.reach + LAYOUT.word) / PAGE);
  return Uint8Array.from(
    code(
      MAGIC_AND_VERSION,
      section(TYPES, vector(types)),
      section(FUNCTIONS, vector([[0], [1]])),
      section(MEMORIES, vector([code(0, unsigned(pages))])),
      section(EXPORTS, vector([code(named('memory'), 2, 0), code(named('run'), 0, 0), code(named('fold'), 0, 1)])),
      section(BODIES, vector([body(2, runCode()), body(0, foldCode())])),
    ),
  );
}
