import { openSqlServerDataSource } from '@smartpulse/cdc/sql-server';
import { migrateNotificationDatabase } from '@smartpulse/notification-service';
import { type DatabaseAddress } from '@smartpulse/production-forecast';
import { type DataSource } from 'typeorm';

/** A run's own database on a SQL Server: made empty at its start, dropped at its end. */
export class RunDatabase {
  private constructor(
    /** Where it is, for both apps. */
    readonly address: DatabaseAddress,
    private readonly server: DataSource,
    private readonly quotedName: string,
  ) {}

  /**
   * Creates the database. NotificationService's tables are in it already; ProductionForecast's are made by whoever opens them.
   *
   * @param server names the server, a login that may create databases, and one that is there already.
   * @param name letters, digits and dashes.
   */
  static async create(server: DatabaseAddress, name: string): Promise<RunDatabase> {
    const around = { name: 'demo-run', url: server.url, entities: [], poolSize: 1 };
    const dataSource = await openSqlServerDataSource(around);
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    const created = new RunDatabase({ url: url.href }, dataSource, `[${name}]`);
    try {
      await dataSource.query(`CREATE DATABASE ${created.quotedName}`);
    } catch (error) {
      await dataSource.destroy();
      throw error;
    }
    try {
      await migrateNotificationDatabase(created.address);
      return created;
    } catch (error) {
      await created.close();
      throw error;
    }
  }

  /** Drops it, whoever still uses it. */
  async close(): Promise<void> {
    try {
      // Connections that have just been closed may not be gone yet, and a database that is used cannot be dropped.
      await this.server.query(`ALTER DATABASE ${this.quotedName} SET SINGLE_USER WITH ROLLBACK IMMEDIATE`);
      await this.server.query(`DROP DATABASE ${this.quotedName}`);
    } finally {
      await this.server.destroy();
    }
  }
}
