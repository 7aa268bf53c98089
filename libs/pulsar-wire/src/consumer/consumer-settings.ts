import { InvalidWireOptionError } from '../client/client.errors.js';
import { wholeNumber } from '../client/client.options.js';
import { known } from '../producer/producer-settings.js';
import { INITIAL_POSITION, SUBSCRIPTION_TYPE } from '../protocol/command/enumerations.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import type { ConsumerOptions } from './consumer.options.js';

/** The Java client's lower bound: shorter ones bring messages again that are being handled. */
const MIN_ACK_TIMEOUT_MS = 1_000;

/** @throws {@link InvalidWireOptionError} */
export function checkConsumerOptions(options: ConsumerOptions): void {
  known('type', options.type ?? 'Exclusive', SUBSCRIPTION_TYPE);
  known('initialPosition', options.initialPosition ?? 'latest', INITIAL_POSITION);
  if (options.ackTimeoutMs !== undefined && options.ackTimeoutMs !== 0) {
    wholeNumber('ackTimeoutMs', options.ackTimeoutMs, MIN_ACK_TIMEOUT_MS, 0x7fff_ffff);
  }
  if (options.nackBackoff !== undefined) {
    wholeNumber('nackBackoff.initialMs', options.nackBackoff.initialMs, 0, 0x7fff_ffff);
    wholeNumber('nackBackoff.maxMs', options.nackBackoff.maxMs, options.nackBackoff.initialMs, 0x7fff_ffff);
    wholeNumber('nackBackoff.multiplier', options.nackBackoff.multiplier ?? 2, 1, 100);
  }
  known('payloads', options.payloads ?? 'view', { view: true, copy: true, lent: true });
  if (options.prefetchBytes !== undefined) {
    wholeNumber('prefetchBytes', options.prefetchBytes, 1);
  }
  if (options.startPublishTimeMs !== undefined) {
    wholeNumber('startPublishTimeMs', options.startPublishTimeMs, 0);
    if (options.startMessageId !== undefined) {
      throw new InvalidWireOptionError(
        'startPublishTimeMs',
        'and startMessageId are both given, and only one can be meant',
      );
    }
  }
  if (options.durable !== false && (options.startMessageId ?? options.startPublishTimeMs) !== undefined) {
    throw new InvalidWireOptionError('durable', 'is not false, and only then a start can be named; use seek');
  }
  if (options.subscription === '') {
    throw new InvalidWireOptionError('subscription', 'is empty');
  }
}

/**
 * What a start means for each partition of a topic.
 *
 * @throws {@link InvalidWireOptionError} when it is the place of one of them.
 */
export function placeInPartitions(start: MessageId | undefined): Pick<ConsumerOptions, 'startMessageId'> {
  if (start !== undefined && !start.equals(MessageId.earliest) && !start.equals(MessageId.latest)) {
    throw new InvalidWireOptionError('startMessageId', 'is the place of one partition, and the topic has several');
  }
  return { startMessageId: start };
}
