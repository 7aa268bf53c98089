/** What the broker answers to a message. */
export interface SendAnswer {
  /** Whose answer it is; missing when the broker could not read the frame at all. */
  readonly context: string | undefined;
  /** Missing: it was refused. */
  readonly messageId: string | undefined;
  readonly result: string;
  readonly problem: string;
}

/** Reads an answer; `undefined` when the text is none. */
export function readSendAnswer(text: string): SendAnswer | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  const result = textAt(value, 'result') ?? '';
  return {
    context: textAt(value, 'context'),
    messageId: result === 'ok' ? textAt(value, 'messageId') : undefined,
    result,
    problem: textAt(value, 'errorMsg') ?? '',
  };
}

function textAt(value: object, name: string): string | undefined {
  const found: unknown = Reflect.get(value, name);
  return typeof found === 'string' ? found : undefined;
}
