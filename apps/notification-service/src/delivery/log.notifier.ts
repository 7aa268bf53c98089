import { Injectable, Logger } from '@nestjs/common';
import { type DeliverableNotification, Notifier } from './notifier.js';

/** Writes notifications to the log: for trying out, until a real channel is configured. */
@Injectable()
export class LogNotifier extends Notifier {
  override readonly channel = 'log';
  readonly #logger = new Logger(LogNotifier.name);

  override deliver(notification: DeliverableNotification): Promise<void> {
    this.#logger.log(`${notification.title}. ${notification.description}`);
    return Promise.resolve();
  }
}
