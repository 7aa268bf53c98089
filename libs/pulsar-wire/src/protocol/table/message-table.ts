/** How a field stands on the wire, and what it is in JavaScript. */
export type FieldKind =
  /** `uint32` or an enumeration, as a number. */
  | 'u32'
  /** `int32`, as a number. */
  | 'i32'
  /** 64 bits that a number holds in practice (request ids, times), signed; saturates at ±(2^53 − 1) on the way in. */
  | 'i53'
  /** 64 bits as a signed bigint: ids, where 2^64 − 1 means −1. */
  | 'i64'
  | 'bool'
  | 'double'
  | 'string'
  | 'bytes'
  /** A nested message. */
  | 'message'
  /** Repeated `KeyValue`, as a record; of two equal keys the last one counts. */
  | 'properties'
  /** Repeated `int64` as a bit set: 32-bit halves, the low one first. */
  | 'bits';

/** Whether a field must be there, may be there, or comes any number of times. */
export type Presence = 'optional' | 'required' | 'repeated';

/** One field of a message. `T` is its type in JavaScript. */
export interface Field<T, P extends Presence> {
  readonly number: number;
  readonly kind: FieldKind;
  readonly presence: P;
  readonly table: MessageTable | undefined;
  /** Never there: it carries the type. */
  readonly type?: T;
}

/** The fields of a message by name. */
export type Fields = Readonly<Record<string, Field<unknown, Presence>>>;

/** A message: what the codec needs to know about it. */
export interface MessageTable<F extends Fields = Fields> {
  readonly name: string;
  readonly fields: F;
  /** In ascending order of their numbers, as every official encoder writes them. */
  readonly entries: readonly (readonly [name: string, field: Field<unknown, Presence>])[];
  /** By field number; holes where there is none. */
  readonly byNumber: readonly (readonly [name: string, field: Field<unknown, Presence>] | undefined)[];
}

type TypeOf<F> = F extends Field<infer T, Presence> ? T : never;
type NamesOf<F extends Fields, P extends Presence> = {
  [K in keyof F]: F[K] extends Field<unknown, infer Q> ? (Q extends P ? K : never) : never;
}[keyof F];

/** What is decoded: required fields and lists are always there. */
export type DecodedMessage<F extends Fields> = {
  readonly [K in NamesOf<F, 'required' | 'repeated'>]: TypeOf<F[K]>;
} & { readonly [K in NamesOf<F, 'optional'>]?: TypeOf<F[K]> | undefined };

/** What may be encoded: lists may be left out too. */
export type EncodableMessage<F extends Fields> = {
  readonly [K in NamesOf<F, 'required'>]: TypeOf<F[K]>;
} & { readonly [K in NamesOf<F, 'optional' | 'repeated'>]?: TypeOf<F[K]> | undefined };

/** The type that a table decodes to. */
export type MessageOf<T extends MessageTable> = DecodedMessage<T['fields']>;

/** The type that a table encodes from. */
export type InputOf<T extends MessageTable> = EncodableMessage<T['fields']>;

/** Describes a message. */
export function message<F extends Fields>(name: string, fields: F): MessageTable<F> {
  const entries = Object.entries(fields).sort(([, a], [, b]) => a.number - b.number);
  const byNumber: (readonly [string, Field<unknown, Presence>] | undefined)[] = [];
  for (const entry of entries) {
    const { number } = entry[1];
    if (byNumber[number] !== undefined) {
      throw new Error(`${name} has two fields of number ${number}.`);
    }
    while (byNumber.length <= number) {
      byNumber.push(undefined);
    }
    byNumber[number] = entry;
  }
  return Object.freeze({ name, fields, entries: Object.freeze(entries), byNumber: Object.freeze(byNumber) });
}

function optional<T>(kind: FieldKind) {
  return (number: number): Field<T, 'optional'> => ({ number, kind, presence: 'optional', table: undefined });
}

function required<T>(kind: FieldKind) {
  return (number: number): Field<T, 'required'> => ({ number, kind, presence: 'required', table: undefined });
}

function repeated<T>(kind: FieldKind) {
  return (number: number): Field<T, 'repeated'> => ({ number, kind, presence: 'repeated', table: undefined });
}

/** Makers of optional fields. */
export const opt = {
  u32: optional<number>('u32'),
  i32: optional<number>('i32'),
  i53: optional<number>('i53'),
  i64: optional<bigint>('i64'),
  bool: optional<boolean>('bool'),
  double: optional<number>('double'),
  string: optional<string>('string'),
  bytes: optional<Uint8Array>('bytes'),
  message: <F extends Fields>(number: number, table: MessageTable<F>): Field<DecodedMessage<F>, 'optional'> => ({
    number,
    kind: 'message',
    presence: 'optional',
    table,
  }),
} as const;

/** Makers of required fields. */
export const req = {
  u32: required<number>('u32'),
  i53: required<number>('i53'),
  i64: required<bigint>('i64'),
  bool: required<boolean>('bool'),
  string: required<string>('string'),
  bytes: required<Uint8Array>('bytes'),
  message: <F extends Fields>(number: number, table: MessageTable<F>): Field<DecodedMessage<F>, 'required'> => ({
    number,
    kind: 'message',
    presence: 'required',
    table,
  }),
} as const;

/** Makers of repeated fields. */
export const many = {
  i32: repeated<readonly number[]>('i32'),
  i53: repeated<readonly number[]>('i53'),
  string: repeated<readonly string[]>('string'),
  bits: repeated<Int32Array>('bits'),
  properties: repeated<Readonly<Record<string, string>>>('properties'),
  message: <F extends Fields>(
    number: number,
    table: MessageTable<F>,
  ): Field<readonly DecodedMessage<F>[], 'repeated'> => ({ number, kind: 'message', presence: 'repeated', table }),
} as const;
