import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { type DatabaseAddress } from '../production-forecast.parts.js';
import { FORECAST_TABLE, OUTBOX_TABLE } from '../sync/forecast.sync.js';

/**
 * Switches change tracking of an embedded database on before trackers start (they do so when the whole app has). Harmless to repeat. On SQL
 * Server a migration does.
 */
@Injectable()
export class ForecastTracking implements OnModuleInit {
  constructor(private readonly database: EmbeddedDatabase | DatabaseAddress) {}

  async onModuleInit(): Promise<void> {
    if (this.database instanceof EmbeddedDatabase) {
      await this.database.enableTracking([FORECAST_TABLE, OUTBOX_TABLE]);
    }
  }
}
