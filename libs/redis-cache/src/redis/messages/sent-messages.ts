import type { Logger } from '@nestjs/common';
import type { Redis } from 'ioredis';
import type { ChannelSequences } from './channel-sequences.js';
import { messageHead, type MessageOrigin, plainMessage } from './wire-message.js';

/** Where a message goes, and whose it is. */
export interface Told {
  readonly channel: string;
  readonly source: string;
}

/** A message whose number is used, and the connection that it leaves by. */
export interface SentMessage {
  readonly redis: Redis;
  readonly lane: string;
  readonly origin: MessageOrigin;
}

/** Messages that scripts publish, from the moment that they have a number until it is clear what became of them. */
export class SentMessages {
  constructor(
    private readonly sequences: ChannelSequences,
    private readonly logger: Logger,
  ) {}

  begin(redis: Redis, lane: string, channel: string, source: string): SentMessage {
    return { redis, lane, origin: this.sequences.begin(channel, source, lane) };
  }

  /** @param failure why the request failed that it was to be part of. */
  end(channel: string, sent: SentMessage | undefined, failure?: unknown): void {
    if (sent === undefined) {
      return;
    }
    if (isRefusal(failure)) {
      // It was used for nothing, and nobody is to miss it.
      sent.redis
        .publish(channel, plainMessage(sent.origin, 'void'))
        .catch((refusal: unknown) => this.logger.debug(`Redis did not answer (${String(refusal)}).`));
    }
    this.sequences.end(channel, sent.lane, sent.origin);
  }
}

/** What a script is given of a message. */
export function headOf(sent: SentMessage | undefined): string {
  return sent === undefined ? '' : messageHead(sent.origin);
}

/** The server answered that it does not do it: it is full, for example. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}
