import { classifySqlServerError, withChangeContext } from '@smartpulse/cdc/sql-server';
import { type EntityManager } from 'typeorm';
import { APP_NAME } from '../sync/forecast.sync.js';

/** Whether the manager's database is a SQL Server; else it is the embedded one. */
export function isSqlServer(manager: EntityManager): boolean {
  return manager.dataSource.options.type === 'mssql';
}

/** Runs `work` with a manager whose writes leave this app's name beside the changes, where the database keeps such a thing. */
export function asThisApp<T>(manager: EntityManager, work: (manager: EntityManager) => Promise<T>): Promise<T> {
  return isSqlServer(manager) ? withChangeContext(manager, APP_NAME, work) : work(manager);
}

/** Whether the server gave the transaction up for another one's sake: a deadlock's victim has done nothing and may begin again. */
export function isContention(error: unknown): boolean {
  return classifySqlServerError(error).class === 'contention';
}
