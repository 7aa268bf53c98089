import { messageHead, type MessageOrigin } from '../redis/messages/wire-message.js';

/** What comes over a channel: a message, or a sign of life with the number of the last one. */
export type ChannelText =
  | { readonly kind: 'message'; readonly origin: MessageOrigin; readonly key: string; readonly payload: string }
  | { readonly kind: 'heartbeat'; readonly origin: MessageOrigin };

/** A message as text. Keys have no white space, so the payload needs no escape. */
export function messageText(origin: MessageOrigin, key: string, payload: string): string {
  return `${messageHead(origin)} message ${key} ${payload}`;
}

/** A sign of life as text. */
export function heartbeatText(origin: MessageOrigin): string {
  return `${messageHead(origin)} heartbeat`;
}

/** Reads a text; `undefined` when it is of another format. */
export function readChannelText(text: string): ChannelText | undefined {
  const parts = /^1 (\S+) (\S+) (\d+) (?:heartbeat|message (\S+) (.*))$/s.exec(text);
  if (parts === null) {
    return undefined;
  }
  const [, source = '', epoch = '', sequence = '', key, payload] = parts;
  const origin: MessageOrigin = { source, epoch, sequence: Number(sequence) };
  return key === undefined || payload === undefined
    ? { kind: 'heartbeat', origin }
    : { kind: 'message', origin, key, payload };
}
