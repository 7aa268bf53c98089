/** Why a server did not do what it was asked for: nothing was changed. */
export type Refusal =
  /** Another server has the key. */
  | { readonly kind: 'redirected'; readonly error: Error }
  /** Keys of several slots. */
  | { readonly kind: 'crossing'; readonly error: Error }
  /** It may do so in a moment, or another one in its place: it loads its data, is a replica now, or a slot is on its way. */
  | { readonly kind: 'postponed'; readonly error: Error }
  /** It never will. */
  | { readonly kind: 'refused'; readonly error: Error };

const ABORTED = /^EXECABORT Transaction discarded because of: /;

/** Reads the error of a server. */
export function refusalOf(error: Error): Refusal {
  const text = error.message.replace(ABORTED, '');
  if (/^(?:MOVED|ASK) /.test(text)) {
    return { kind: 'redirected', error };
  }
  if (text.startsWith('CROSSSLOT')) {
    return { kind: 'crossing', error };
  }
  return { kind: /^(?:READONLY|LOADING|MASTERDOWN|TRYAGAIN|CLUSTERDOWN)/.test(text) ? 'postponed' : 'refused', error };
}
