/** A value of the wrong type, for tests of what callers in JavaScript may hand in. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the place where it is put says what it pretends to be
export function wrongly<T>(value: unknown): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- being wrong is the point
  return value as T;
}
