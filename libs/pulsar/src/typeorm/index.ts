export { dedupeEntity, type DedupeRow, SqlDedupeStore, type SqlDedupeStoreOptions } from './sql.dedupe-store.js';
