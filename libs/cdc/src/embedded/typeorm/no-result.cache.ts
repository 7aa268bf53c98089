import type { QueryResultCache } from 'typeorm/cache/QueryResultCache.js';

/** A query result cache that keeps nothing: `find({ cache: true })` reads the table, as if no cache were configured. */
export class NoResultCache implements QueryResultCache {
  connect(): Promise<void> {
    return Promise.resolve();
  }

  disconnect(): Promise<void> {
    return Promise.resolve();
  }

  synchronize(): Promise<void> {
    return Promise.resolve();
  }

  getFromCache(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  storeInCache(): Promise<void> {
    return Promise.resolve();
  }

  isExpired(): boolean {
    return true;
  }

  clear(): Promise<void> {
    return Promise.resolve();
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }
}
