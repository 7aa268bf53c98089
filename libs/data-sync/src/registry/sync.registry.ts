import { ConfigurationError } from '@smartpulse/resilience';
import type { SyncDefinition, SyncRole } from '../definition/sync-definition.js';
import type { OutboxDefinition } from '../outbox/outbox-definition.js';

/** A sync and what this app does for it. */
export interface RegisteredSync {
  readonly sync: SyncDefinition;
  readonly roles: ReadonlySet<SyncRole>;
}

/** The syncs and outboxes of one app, filled by `DataSyncModule.forFeature`. */
export class SyncRegistry {
  readonly #syncs = new Map<string, RegisteredSync>();
  readonly #outboxes = new Map<string, OutboxDefinition>();

  /** @throws `ConfigurationError` when the table, the topic or the contract's name is taken by another sync. */
  add(owner: string, sync: SyncDefinition, roles: readonly SyncRole[]): void {
    const { name, topic } = sync.contract;
    for (const { sync: other } of this.#syncs.values()) {
      const clash =
        other.table === sync.table
          ? `table "${sync.table}"`
          : other.contract.topic === topic
            ? `topic "${topic}"`
            : other.contract.name === name
              ? `contract "${name}"`
              : undefined;
      if (clash !== undefined) {
        throw new ConfigurationError(owner, [
          { option: 'syncs', problem: `${clash} belongs to the sync "${other.contract.name}" already` },
        ]);
      }
    }
    this.#refuseOutboxTable(owner, sync.table, this.#outboxes.has(sync.table));
    this.#syncs.set(name, { sync, roles: new Set(roles) });
  }

  /** @throws `ConfigurationError` when the table is taken. */
  addOutbox(owner: string, outbox: OutboxDefinition): void {
    this.#refuseOutboxTable(owner, outbox.table, this.#outboxes.has(outbox.table));
    this.#refuseOutboxTable(
      owner,
      outbox.table,
      [...this.#syncs.values()].some(({ sync }) => sync.table === outbox.table),
    );
    this.#outboxes.set(outbox.table, outbox);
  }

  get(name: string): RegisteredSync | undefined {
    return this.#syncs.get(name);
  }

  list(): readonly RegisteredSync[] {
    return [...this.#syncs.values()];
  }

  outboxes(): readonly OutboxDefinition[] {
    return [...this.#outboxes.values()];
  }

  #refuseOutboxTable(owner: string, table: string, taken: boolean): void {
    if (taken) {
      throw new ConfigurationError(owner, [{ option: 'outbox', problem: `table "${table}" is followed already` }]);
    }
  }
}
