import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * The last value known of a delivery, with the stamp of the change that told it (table `known_value`). Changes come at least once and older
 * ones may come again after a restart: the stamp that is kept with the value tells them apart.
 */
@Entity({ name: 'known_value' })
@Index(['deliveryStart'])
export class KnownValueEntity {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  provider!: string;

  @PrimaryColumn({ type: 'varchar', length: 8 })
  unitType!: string;

  @PrimaryColumn({ type: 'integer' })
  unitNo!: number;

  /** UTC text. */
  @PrimaryColumn({ type: 'varchar', length: 24 })
  deliveryStart!: string;

  /** Hundredths of a megawatt. */
  @Column({ type: 'integer' })
  valueHundredths!: number;

  /** Epoch and version, fixed width: sorts like the stamp. */
  @Column({ type: 'varchar', length: 45 })
  stamp!: string;
}
