import { type NotificationEntity } from '../store/notification.entity.js';

/** What is delivered. */
export type DeliverableNotification = Pick<NotificationEntity, 'id' | 'rule' | 'title' | 'description' | 'createdAt'>;

/**
 * The way out of the app (mail, push, a chat), as a port.
 *
 * An implementer guarantees: `deliver` resolves when the other side has taken the notification, and rejects when it may not have. It may be
 * called again with the same `id`: after a rejection, and after a restart in the middle.
 */
export abstract class Notifier {
  /** Names the channel in logs. */
  abstract readonly channel: string;
  abstract deliver(notification: DeliverableNotification, signal: AbortSignal): Promise<void>;
}
