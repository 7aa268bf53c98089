import { type OutboxRow } from '@smartpulse/data-sync';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/**
 * Events on their way out (table `dbo.forecast_outbox`, tracked, insert-only): written in the transaction of the forecasts, published by the
 * table's change tracker, so that event and rows share commit and order.
 */
@Entity({ name: 'forecast_outbox' })
export class ForecastOutboxEntity implements OutboxRow {
  /** Rises, so that the events of one transaction keep their order. */
  @PrimaryGeneratedColumn({ type: 'integer' })
  id!: number;

  /** The event contract's name: `forecast-computed`. */
  @Column({ type: 'varchar', length: 64 })
  event!: string;

  /** The message key: events of one series keep their order. */
  @Column({ type: 'varchar', length: 100, nullable: true })
  key!: string | null;

  /** The event as JSON. */
  @Column({ type: 'text' })
  payload!: string;

  /** UTC text. */
  @Column({ type: 'varchar', length: 24 })
  createdAt!: string;
}
