import type { InvalidationAction, InvalidationMessage } from '../../invalidation/invalidation.bus.js';
import { readVersion } from '../entries/entry-text.js';

const ACTIONS: ReadonlySet<string> = new Set<InvalidationAction>([
  'set',
  'refresh',
  'invalidate',
  'evict',
  'release',
  'flush',
]);

/** Who published a message, and its place among the messages of that one. */
export interface MessageOrigin {
  readonly source: string;
  /** One life of the source: another one begins to count anew. */
  readonly epoch: string;
  readonly sequence: number;
}

/** What comes over a channel: news, a number that was used for nothing, or a sign of life with the last number used. */
export type WireMessage =
  | {
      readonly kind: 'news';
      readonly origin: MessageOrigin;
      readonly message: InvalidationMessage;
      /** The generation that the writer keeps the key in; `undefined` where no key is concerned. */
      readonly generation: number | undefined;
    }
  | { readonly kind: 'void' | 'heartbeat'; readonly origin: MessageOrigin };

/** The beginning of a message; scripts add action, version and key. */
export function messageHead({ source, epoch, sequence }: MessageOrigin): string {
  return `1 ${source} ${epoch} ${sequence}`;
}

/** A message that no script publishes. */
export function plainMessage(origin: MessageOrigin, action: 'flush' | 'heartbeat' | 'void'): string {
  return `${messageHead(origin)} ${action} - `;
}

/** Reads a message; `undefined` when it is of another format. By its spaces: every replica reads every message of its namespaces. */
export function readMessage(text: string): WireMessage | undefined {
  const source = text.indexOf(' ') + 1;
  const epoch = text.indexOf(' ', source) + 1;
  const sequence = text.indexOf(' ', epoch) + 1;
  const action = text.indexOf(' ', sequence) + 1;
  const version = text.indexOf(' ', action) + 1;
  const key = text.indexOf(' ', version) + 1;
  // One that is missing begins the text again.
  if (
    !text.startsWith('1 ') ||
    epoch <= source + 1 ||
    sequence <= epoch + 1 ||
    action <= sequence + 1 ||
    key <= version
  ) {
    return undefined;
  }
  const number = Number(text.slice(sequence, action - 1));
  const origin: MessageOrigin = {
    source: text.slice(source, epoch - 1),
    epoch: text.slice(epoch, sequence - 1),
    sequence: number,
  };
  const what = text.slice(action, version - 1);
  if (!Number.isSafeInteger(number) || version === 0) {
    return undefined;
  }
  if (what === 'void' || what === 'heartbeat') {
    return { kind: what, origin };
  }
  return isAction(what) ? readNews(origin, what, text.slice(version, key - 1), text.slice(key)) : undefined;
}

/** The key's name ends in the generation that the writer keeps it in. */
function readNews(origin: MessageOrigin, action: InvalidationAction, version: string, name: string): WireMessage {
  const dot = name.lastIndexOf('.');
  const generation = dot < 0 || dot === name.length - 1 ? Number.NaN : Number(name.slice(dot + 1));
  const isNamed = Number.isSafeInteger(generation) && generation >= 0;
  return {
    kind: 'news',
    origin,
    message: {
      source: origin.source,
      action,
      key: isNamed ? name.slice(0, dot) : name,
      version: version === '-' ? null : (readVersion(version) ?? null),
    },
    generation: isNamed ? generation : undefined,
  };
}

function isAction(text: string): text is InvalidationAction {
  return ACTIONS.has(text);
}
