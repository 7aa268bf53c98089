import { EntryVersion } from '../version/entry-version.js';

/** One field of a hash, as text. */
export interface FieldText {
  readonly name: string;
  readonly version: EntryVersion;
  readonly payload: string;
}

const VERSION_LENGTH = EntryVersion.ZERO.toString().length;
const LENGTHS = /(\d+) (\d+) /y;

/**
 * The fields of a hash as the payload of one value: each as the lengths of its name and payload, then version, name and payload. Nothing is escaped, so nothing
 * is read twice.
 */
export function joinFields(fields: Iterable<FieldText>): string {
  let text = '';
  for (const { name, version, payload } of fields) {
    text += `${name.length} ${payload.length} ${version.toString()}${name}${payload}`;
  }
  return text;
}

/** What {@link joinFields} joined. @throws TypeError when the text is none of those. */
export function splitFields(text: string): readonly FieldText[] {
  const fields: FieldText[] = [];
  // Most fields of a hash carry the version of its base.
  let digits = '';
  let version: EntryVersion | undefined;
  for (let at = 0; at < text.length;) {
    LENGTHS.lastIndex = at;
    const lengths = LENGTHS.exec(text);
    const nameAt = LENGTHS.lastIndex + VERSION_LENGTH;
    const found = text.slice(LENGTHS.lastIndex, nameAt);
    const payloadAt = nameAt + Number(lengths?.[1]);
    const end = payloadAt + Number(lengths?.[2]);
    if (found !== digits) {
      version = EntryVersion.read(found);
      digits = found;
    }
    if (lengths === null || version === undefined || end > text.length) {
      throw new TypeError(`The text of a hash cannot be read from position ${at} on.`);
    }
    fields.push({ name: text.slice(nameAt, payloadAt), version, payload: text.slice(payloadAt, end) });
    at = end;
  }
  return fields;
}
