/** Freezes a value and everything that it holds: a reader that changes what other readers share fails at once. */
export function deepFreeze<T>(value: T): T {
  if (isObject(value)) {
    freezeParts(value);
  }
  return value;
}

/** On the way of every read from the store: it asks before it calls, and makes no list of what it goes through. */
function freezeParts(value: Readonly<Record<string, unknown>> | readonly unknown[]): void {
  if (Object.isFrozen(value) || ArrayBuffer.isView(value)) {
    return;
  }
  Object.freeze(value);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const part: unknown = value[index];
      if (isObject(part)) {
        freezeParts(part);
      }
    }
    return;
  }
  for (const name in value) {
    if (Object.hasOwn(value, name)) {
      const part = Reflect.get(value, name);
      if (isObject(part)) {
        freezeParts(part);
      }
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> | unknown[] {
  return typeof value === 'object' && value !== null;
}
