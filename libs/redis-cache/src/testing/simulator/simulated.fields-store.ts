import type { CacheStore } from '../../store/cache.store.js';
import { FieldsStore, type FieldsWrite, type SetFieldsReply, type StoredFields } from '../../store/fields.store.js';
import type { SimulatedLine } from './simulated.line.js';
import { SimulatedStore } from './simulated.store.js';

/** A store of hashes at the other end of a replica's line. */
export class SimulatedFieldsStore extends FieldsStore {
  override readonly hashes: CacheStore;

  constructor(
    private readonly store: FieldsStore,
    private readonly line: SimulatedLine,
  ) {
    super();
    this.hashes = new SimulatedStore(store.hashes, line);
  }

  override getFields(key: string, names: readonly string[]): Promise<StoredFields | undefined> {
    return this.line.call('getFields', () => this.store.getFields(key, names));
  }

  override setFields(write: FieldsWrite): Promise<SetFieldsReply> {
    const what = write.fields.map(({ name, version }) => `${name}@${version.version}`).join();
    return this.line.call(`setFields(${what})`, () => this.store.setFields(write));
  }
}
