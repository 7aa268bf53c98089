import type { SqlIsolation, SqlMessage } from '../../seam.js';

/** Something to wait for; made when the fault strikes. A promise of a test, or the sleep of a clock. */
export type Until = () => Promise<unknown>;

/** What may go wrong with a connection before it says a word. */
export type ConnectFault =
  | { readonly kind: 'cut' }
  /** Accepts, then neither answers nor ends. */
  | { readonly kind: 'freeze' }
  | { readonly kind: 'wait'; readonly until: Until };

/** What may go wrong with a login. */
export type LoginFault = ConnectFault | { readonly kind: 'error'; readonly message: SqlMessage };

/** What may go wrong with a request. */
export type RequestFault =
  /** The connection is reset: before the engine hears of the request, or after it did all of it and before the reply. */
  | { readonly kind: 'cut'; readonly when: 'execution' | 'reply' }
  /** The reset comes when so many bytes of the reply have left. */
  | { readonly kind: 'cutAtByte'; readonly bytes: number }
  /** The reset comes in the middle of this row of the reply, counted from 1. */
  | { readonly kind: 'cutInRow'; readonly row: number }
  /** The connection neither answers nor ends, now and later. */
  | { readonly kind: 'freeze' }
  /** The request is done and its reply lost; an attention is still answered. */
  | { readonly kind: 'swallow' }
  /** Waits before the engine hears of the request, or with the whole reply in hand; an attention ends it. */
  | { readonly kind: 'wait'; readonly when: 'execution' | 'reply'; readonly until: Until }
  /**
   * An error instead of the execution, or in the middle of the reply after so many rows. `rollsBack` also ends the
   * transaction, as a deadlock does.
   */
  | {
      readonly kind: 'error';
      readonly message: SqlMessage;
      readonly afterRows?: number;
      readonly rollsBack?: boolean;
    }
  /** The reply leaves in pieces of so many bytes, each in a turn of the event loop of its own. */
  | { readonly kind: 'trickle'; readonly bytes: number }
  /** The reply is no TDS. */
  | { readonly kind: 'garbage' };

/** What may go wrong with an attention. */
export type AttentionFault =
  /** Nobody acknowledges it; the request goes on. */
  { readonly kind: 'ignore' };

/** A place where something may go wrong; also what a plan may observe. */
export interface ConnectPoint {
  /** Which connection of the server, from 1. */
  readonly connection: number;
}

/** A login, before the engine hears of it. */
export interface LoginPoint extends ConnectPoint {
  readonly user: string;
  readonly database: string;
  /** How the client calls itself. */
  readonly application: string;
  readonly readOnlyIntent: boolean;
}

/** A request, before the engine hears of it. */
export interface RequestPoint extends ConnectPoint {
  /** Which request of the connection, from 1. */
  readonly request: number;
  readonly kind: 'batch' | 'call' | 'begin' | 'commit' | 'rollback' | 'save';
  /** Empty unless a batch or a call. */
  readonly sql: string;
  /** Of a transaction that begins; `undefined` = the session's own. */
  readonly isolation?: SqlIsolation | undefined;
}

/** Decides what goes wrong. Asked once at each point, in order; nothing said, nothing goes wrong. */
export abstract class FaultPlan {
  atConnect(_point: ConnectPoint): ConnectFault | undefined {
    return undefined;
  }

  atLogin(_point: LoginPoint): LoginFault | undefined {
    return undefined;
  }

  atRequest(_point: RequestPoint): RequestFault | undefined {
    return undefined;
  }

  atAttention(_point: ConnectPoint): AttentionFault | undefined {
    return undefined;
  }
}
