const MOST = 1_000;

/** A function of its argument alone that remembers what it answered, so that a text that comes again and again is read once. */
export function remembering<A, T>(make: (from: A) => T): (from: A) => T {
  const known = new Map<A, { readonly made: T }>();
  return (from) => {
    const before = known.get(from);
    if (before !== undefined) {
      return before.made;
    }
    const made = make(from);
    if (known.size >= MOST) {
      known.clear();
    }
    known.set(from, { made });
    return made;
  };
}
