import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { type NotificationRule } from '../rules/notification-draft.js';

/** Where a notification stands on its way out. */
export type DeliveryState = 'pending' | 'delivered' | 'failed';

/** A notification in the app (table `notification`). */
@Entity({ name: 'notification' })
@Index(['rule', 'key', 'stamp'], { unique: true })
@Index(['status', 'id'])
@Index(['delivery', 'id'])
export class NotificationEntity {
  /** Grows with time: what lists are paged by. */
  @PrimaryGeneratedColumn({ type: 'integer' })
  id!: number;

  @Column({ type: 'varchar', length: 32 })
  rule!: NotificationRule;

  @Column({ type: 'varchar', length: 200 })
  key!: string;

  @Column({ type: 'varchar', length: 100 })
  stamp!: string;

  @Column({ type: 'varchar', length: 120 })
  title!: string;

  @Column({ type: 'varchar', length: 400 })
  description!: string;

  @Column({ type: 'varchar', length: 4 })
  status!: 'new' | 'seen';

  @Column({ type: 'varchar', length: 9 })
  delivery!: DeliveryState;

  /** UTC text. */
  @Column({ type: 'varchar', length: 24 })
  createdAt!: string;

  /** UTC text. */
  @Column({ type: 'varchar', length: 24, nullable: true })
  seenAt!: string | null;
}
