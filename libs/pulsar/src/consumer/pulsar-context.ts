import type { ExecutionContext } from '@nestjs/common';

/** The context type that guards, interceptors and filters see: `context.getType() === 'pulsar'`. */
export const PULSAR_CONTEXT_TYPE = 'pulsar';

/** What is known of a message beside its payload. */
export interface MessageFacts {
  /** The broker's identifier, as text. */
  readonly messageId: string;
  /** The full topic name. */
  readonly topic: string;
  readonly key: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
  /** Which handler run this is for the message in this process, from 1 to `maxAttempts`. */
  readonly attempt: number;
  /** How often the broker delivered the message before on this subscription, from 0. */
  readonly redeliveryCount: number;
  /** Milliseconds since the Unix epoch, by the broker's clock. */
  readonly publishTimeMs: number;
  /** Milliseconds since the Unix epoch, chosen by the publisher. */
  readonly eventTimeMs: number | undefined;
}

/** What a handler knows of its message beside the payload. */
export interface PulsarContext extends MessageFacts {
  /** Aborts when the handler's `timeoutMs` is used up or the shutdown's deadline has come: stop, the message comes again. */
  readonly signal: AbortSignal;
  /**
   * With `ack: 'manual'`: the message is done, and is acknowledged.
   *
   * @throws PulsarError without that option, for a second settlement of the message, and after its run is over.
   */
  ack(): void;
  /**
   * With `ack: 'manual'`: gives the message back, see `nack` of this package.
   *
   * @param delayMs it comes again no sooner, in milliseconds. Default 0.
   * @throws see {@link ack}.
   */
  nack(delayMs?: number): void;
  /**
   * With `ack: 'manual'`: sends the message to the dead letter topic, with the reason in its headers.
   *
   * @throws see {@link ack}.
   */
  deadLetter(reason: string): void;
}

/**
 * Whether a guard, interceptor or filter runs for a message rather than an HTTP request.
 *
 * @example
 * ```ts
 * canActivate(context: ExecutionContext): boolean {
 *   return isPulsarContext(context) || this.checkToken(context.switchToHttp().getRequest());
 * }
 * ```
 */
export function isPulsarContext(context: Pick<ExecutionContext, 'getType'>): boolean {
  return context.getType<string>() === PULSAR_CONTEXT_TYPE;
}
