/**
 * Whether readers are shown what they cannot change, unless an app says: in development and in tests, where a mistake is to fail at once; not in production, where it would
 * cost each read of the store.
 */
export const FREEZES: boolean = process.env['NODE_ENV'] !== 'production';

/** Freezes a value and everything that it holds: a reader that changes what other readers share fails at once. */
export function deepFreeze<T>(value: T): T {
  freezeIfObject(value);
  return value;
}

/**
 * The same for a tree of plain objects and arrays that nobody has seen yet: no part of it is met twice, or frozen already. It is on the way of every read from
 * the store, so it asks before it calls, and makes no list of what it goes through.
 */
export function freezeTree<T>(value: T): T {
  if (isObject(value)) {
    freezeBranch(value);
  }
  return value;
}

function freezeBranch(branch: Readonly<Record<string, unknown>>): void {
  if (Array.isArray(branch)) {
    for (const part of branch) {
      if (isObject(part)) {
        freezeBranch(part);
      }
    }
  } else {
    for (const name in branch) {
      const part = branch[name];
      if (isObject(part) && Object.hasOwn(branch, name)) {
        freezeBranch(part);
      }
    }
  }
  Object.freeze(branch);
}

function freezeIfObject(value: unknown): void {
  if (isObject(value) && !Object.isFrozen(value) && !ArrayBuffer.isView(value)) {
    Object.freeze(value);
    Object.values(value).forEach(freezeIfObject);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
