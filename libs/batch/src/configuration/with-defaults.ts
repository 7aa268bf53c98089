/** Options with nothing left out: what `given` says, else what `defaults` says. Options that `defaults` does not know are left out. */
export function withDefaults<T extends object>(defaults: T, given: { readonly [K in keyof T]?: T[K] | undefined }): T {
  const complete = { ...defaults };
  for (const option in defaults) {
    const value = given[option];
    if (value !== undefined) {
      complete[option] = value;
    }
  }
  return complete;
}
