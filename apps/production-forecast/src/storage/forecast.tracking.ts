import { type EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { FORECAST_TABLE, OUTBOX_TABLE } from '../sync/forecast.sync.js';

/** Switches change tracking on before trackers start (they do so when the whole app has). Harmless to repeat. */
@Injectable()
export class ForecastTracking implements OnModuleInit {
  constructor(private readonly database: EmbeddedDatabase) {}

  async onModuleInit(): Promise<void> {
    await this.database.enableTracking([FORECAST_TABLE, OUTBOX_TABLE]);
  }
}
