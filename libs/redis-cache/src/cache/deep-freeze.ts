/** Freezes a value and everything that it holds: a reader that changes what other readers share fails at once. */
export function deepFreeze<T>(value: T): T {
  freezeIfObject(value);
  return value;
}

function freezeIfObject(value: unknown): void {
  if (isObject(value) && !Object.isFrozen(value) && !ArrayBuffer.isView(value)) {
    Object.freeze(value);
    freezeParts(value);
  }
}

/** On the way of every read from the store: it asks before it calls, and makes no list of what it goes through. */
function freezeParts(value: Readonly<Record<string, unknown>>): void {
  if (Array.isArray(value)) {
    for (const part of value) {
      if (isObject(part)) {
        freezeIfObject(part);
      }
    }
    return;
  }
  for (const name in value) {
    if (isObject(value[name]) && Object.hasOwn(value, name)) {
      freezeIfObject(value[name]);
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
