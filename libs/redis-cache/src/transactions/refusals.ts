/**
 * Why a server did not do what it was asked for; nothing was changed. `redirected`: another server has the key. `crossing`: keys of several slots. `postponed`: it may do so in
 * a moment, or another one in its place, because it loads its data, is a replica now, or a slot is on its way. `refused`: it never will.
 */
export type Refusal = 'redirected' | 'crossing' | 'postponed' | 'refused';

const ABORTED = /^EXECABORT Transaction discarded because of: /;

/** Reads the error of a server. */
export function refusalOf(error: Error): Refusal {
  const text = error.message.replace(ABORTED, '');
  if (/^(?:MOVED|ASK) /.test(text)) {
    return 'redirected';
  }
  if (text.startsWith('CROSSSLOT')) {
    return 'crossing';
  }
  return /^(?:READONLY|LOADING|MASTERDOWN|TRYAGAIN|CLUSTERDOWN)/.test(text) ? 'postponed' : 'refused';
}
