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

/** Reads a message; `undefined` when it is of another format. */
export function readMessage(text: string): WireMessage | undefined {
  const parts = /^1 (\S+) (\S+) (\d+) (\w+) (\S+) (.*)$/s.exec(text);
  if (parts === null) {
    return undefined;
  }
  const [, source = '', epoch = '', sequence = '', action = '', version = '', key = ''] = parts;
  const origin: MessageOrigin = { source, epoch, sequence: Number(sequence) };
  if (action === 'void' || action === 'heartbeat') {
    return { kind: action, origin };
  }
  if (!isAction(action)) {
    return undefined;
  }
  const dot = key.lastIndexOf('.');
  const isNamed = dot >= 0 && /^\d+$/.test(key.slice(dot + 1));
  return {
    kind: 'news',
    origin,
    message: { source, action, key: isNamed ? key.slice(0, dot) : key, version: readVersion(version) ?? null },
    generation: isNamed ? Number(key.slice(dot + 1)) : undefined,
  };
}

function isAction(text: string): text is InvalidationAction {
  return ACTIONS.has(text);
}
