import { type SqlValue } from '../../../seam.js';
import { textOf } from '../../values/convert.js';
import { foldText } from '../../values/compare.js';
import { INT, isText, isUnicode, nchar, nvarchar, type ValueType, varchar } from '../../values/value-type.js';
import { type Call, plain, type ScalarFunction, strict } from './scalar-function.js';

/** Functions over texts. */
export const TEXT_FUNCTIONS: Readonly<Record<string, ScalarFunction>> = {
  len: strict(1, INT, ([value], call) => BigInt(text(value, call, 0).replace(/ +$/, '').length)),
  datalength: strict(1, INT, ([value], { types: [type] }) => {
    if (value instanceof Uint8Array) {
      return BigInt(value.length);
    }
    const characters = type === undefined || !isText(type) ? 4 : String(value).length * (isUnicode(type) ? 2 : 1);
    return BigInt(characters);
  }),
  left: strict(2, same, ([value, count], call) => text(value, call, 0).slice(0, Math.max(0, Number(count)))),
  right: strict(2, same, ([value, count], call) => {
    const whole = text(value, call, 0);
    return whole.slice(Math.max(0, whole.length - Math.max(0, Number(count))));
  }),
  substring: strict(3, same, ([value, from, count], call) => {
    const start = Number(from) - 1;
    return text(value, call, 0).slice(Math.max(0, start), Math.max(0, start + Number(count)));
  }),
  upper: strict(1, same, ([value], call) => text(value, call, 0).toUpperCase()),
  lower: strict(1, same, ([value], call) => text(value, call, 0).toLowerCase()),
  trim: strict(1, same, ([value], call) => text(value, call, 0).replaceAll(/^ +| +$/g, '')),
  ltrim: strict(1, same, ([value], call) => text(value, call, 0).replace(/^ +/, '')),
  rtrim: strict(1, same, ([value], call) => text(value, call, 0).replace(/ +$/, '')),
  reverse: strict(1, same, ([value], call) =>
    Array.from(text(value, call, 0))
      .toReversed()
      .join(''),
  ),
  replicate: strict(2, nvarchar(4_000), ([value, count], call) => text(value, call, 0).repeat(Number(count))),
  replace: strict(3, nvarchar(4_000), ([value, what, by], call) => {
    const pattern = escaped(text(what, call, 1));
    return pattern === '' ? text(value, call, 0) : replaced(text(value, call, 0), pattern, text(by, call, 2));
  }),
  charindex: strict([2, 3], INT, ([what, value, from], call) => {
    const [needle, hay] = [foldCase(text(what, call, 0)), foldCase(text(value, call, 1))];
    return BigInt(hay.indexOf(needle, from === undefined ? 0 : Number(from) - 1) + 1);
  }),
  concat: plain([2, 254], nvarchar(4_000), (call) =>
    call.values.map((value, index) => (value === null ? '' : text(value, call, index))).join(''),
  ),
  quotename: strict([1, 2], nvarchar(258), ([value], call) => `[${text(value, call, 0).replaceAll(']', ']]')}]`),
  char: strict(1, varchar(1), ([code]) => String.fromCodePoint(Number(code))),
  nchar: strict(1, nchar(1), ([code]) => String.fromCodePoint(Number(code))),
  ascii: strict(1, INT, ([value], call) => BigInt(text(value, call, 0).codePointAt(0) ?? 0)),
  unicode: strict(1, INT, ([value], call) => BigInt(text(value, call, 0).codePointAt(0) ?? 0)),
  parsename: strict(2, nvarchar(128), ([value, part], call) => {
    const parts = [...text(value, call, 0).matchAll(/\[((?:[^\]]|\]\])*)\]|([^.[\]]+)/g)].map(
      ([, quoted, bare]) => quoted?.replaceAll(']]', ']') ?? bare ?? '',
    );
    return parts.at(-Number(part)) ?? null;
  }),
};

function text(value: SqlValue | undefined, { types }: Call, index: number): string {
  return value === null || value === undefined ? '' : textOf(value, types[index] ?? nvarchar('max'));
}

/** A text of the kind of the first argument. */
function same([first]: readonly ValueType[]): ValueType {
  return first !== undefined && isText(first)
    ? { ...first, name: isUnicode(first) ? 'nvarchar' : 'varchar' }
    : varchar(8_000);
}

function foldCase(value: string): string {
  return foldText(`${value}.`, nvarchar('max')).slice(0, -1);
}

function escaped(value: string): string {
  return value.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

function replaced(value: string, pattern: string, by: string): string {
  return value.replaceAll(new RegExp(pattern, 'gi'), () => by);
}
