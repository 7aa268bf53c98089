import { type ForecastRow } from '@smartpulse/production-forecast-contract';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The latest forecast of one delivery (table `dbo.forecast`, tracked). Instants are UTC text of one form, so they sort as text. */
@Entity({ name: 'forecast' })
export class ForecastEntity implements ForecastRow {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  provider!: string;

  @PrimaryColumn({ type: 'varchar', length: 8 })
  unitType!: string;

  @PrimaryColumn({ type: 'integer' })
  unitNo!: number;

  @PrimaryColumn({ type: 'varchar', length: 24 })
  deliveryStart!: string;

  @Column({ type: 'varchar', length: 24 })
  deliveryEnd!: string;

  @Column({ type: 'integer' })
  periodMinutes!: number;

  /** Hundredths of a megawatt. */
  @Column({ type: 'integer' })
  valueHundredths!: number;

  @Column({ type: 'varchar', length: 32 })
  batchId!: string;
}
