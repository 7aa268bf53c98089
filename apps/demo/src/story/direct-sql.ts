import { type ChangeSource } from '@smartpulse/cdc';
import { EmbeddedChangeSource, EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { sqlServerCdc } from '@smartpulse/cdc/sql-server';
import { notificationDataSource } from '@smartpulse/notification-service';
import { FORECAST_TABLE, forecastDataSource } from '@smartpulse/production-forecast';
import { DataSource } from 'typeorm';
import { type EmbeddedParts } from '../hosting/embedded-parts.js';

/** What the databases themselves say, with no part of the pipeline between. */
export class DirectSql {
  /** Reads ProductionForecast's tracking tables. */
  readonly source: ChangeSource;
  readonly #opened: DataSource[] = [];

  constructor(private readonly parts: EmbeddedParts) {
    const { forecasts } = parts;
    this.source =
      forecasts instanceof EmbeddedDatabase
        ? new EmbeddedChangeSource(forecasts)
        : sqlServerCdc({ name: 'direct', url: forecasts.url }).source;
  }

  /** The version of the last commit to ProductionForecast's tables. */
  async currentVersion(): Promise<bigint> {
    const { currentVersion } = await this.source.state([FORECAST_TABLE]);
    return currentVersion;
  }

  /** ProductionForecast's tables. */
  openForecasts(): Promise<DataSource> {
    return this.#open(new DataSource(forecastDataSource(this.parts.forecasts, 'direct-forecasts')));
  }

  /** NotificationService's tables. */
  openNotifications(): Promise<DataSource> {
    return this.#open(new DataSource(notificationDataSource(this.parts.notifications, 'direct-notifications')));
  }

  async close(): Promise<void> {
    for (const dataSource of this.#opened.splice(0)) {
      await dataSource.destroy();
    }
    await this.source.close();
  }

  async #open(dataSource: DataSource): Promise<DataSource> {
    await dataSource.initialize();
    this.#opened.push(dataSource);
    return dataSource;
  }
}
