import type { ChangeContract } from '../definition/change-contract.js';
import type { OnChangeOptions } from './on-change.decorator.js';
import type { OnResyncOptions } from './on-resync.decorator.js';

/** What a decorator left on a method. */
export type HandlerMark =
  | { readonly kind: 'change'; readonly contract: ChangeContract; readonly options: OnChangeOptions }
  | { readonly kind: 'resync'; readonly contract: ChangeContract; readonly options: OnResyncOptions };

const MARKS = Symbol.for('@smartpulse/data-sync:handlers');

/** Adds a mark to a method; a method may carry several. */
export function markHandler(method: object | undefined, mark: HandlerMark): void {
  if (method !== undefined) {
    Reflect.defineMetadata(MARKS, [...handlerMarks(method), mark], method);
  }
}

/** The marks of a method. */
export function handlerMarks(method: object): readonly HandlerMark[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the symbol is this file's own, and so is what stands under it
  return (Reflect.getMetadata(MARKS, method) as readonly HandlerMark[] | undefined) ?? [];
}
