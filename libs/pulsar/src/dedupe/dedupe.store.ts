/** What a claim of a message found. */
export type DedupeClaim =
  /** Nobody has handled it: handle it, then complete the claim with its token. */
  | { readonly state: 'claimed'; readonly token: string }
  /** It was handled. */
  | { readonly state: 'done' }
  /** Somebody handles it now; their claim lives so much longer, in milliseconds, unless they complete or release it. */
  | { readonly state: 'inProgress'; readonly remainingMs: number };

/**
 * What was handled already, as a port: an idempotent consumer asks before each handler run.
 *
 * An implementer guarantees, for each key:
 * - of claims that are made at once one is `claimed`; it stands until it is completed, released, or its life is over: then the next one is `claimed`, with another
 *   token, so that a claimant that died does not keep the message for ever;
 * - `complete` by the token that stands makes every claim of the next `ttlMs` milliseconds `done`; by another token it does nothing and answers `false`;
 * - `release` by the token that stands forgets the claim; by another token it does nothing, and it never forgets what is done.
 * A store that cannot answer rejects: the consumer takes that for an outage and gives nothing up.
 */
export abstract class DedupeStore {
  /** What is done outlives this process. */
  abstract readonly durable: boolean;
  /** Other processes see the same. */
  abstract readonly shared: boolean;

  /** @param claimMs how long the claim lives, milliseconds. */
  abstract claim(key: string, claimMs: number): Promise<DedupeClaim>;
  abstract complete(key: string, token: string, ttlMs: number): Promise<boolean>;
  abstract release(key: string, token: string): Promise<void>;
}
