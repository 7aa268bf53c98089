import type { Clock } from '@smartpulse/resilience';
import { TableNotTrackedError } from '../cdc.errors.js';
import type { ChangeSource } from '../source/change.source.js';
import type { Look, SharedLook } from '../source/shared-look.js';
import type { Seen } from './judge.js';
import type { Tenure } from './outlet.js';
import type { ResolvedTrackerOptions } from './tracker.options.js';
import { untilAborted } from './until-aborted.js';

/** Heartbeats between two descriptions where the source tells when a definition is another one: what it tells may be a little coarse. */
const SELDOM = 10;

/** What a view looks at. */
interface Viewed {
  readonly source: ChangeSource;
  readonly look: SharedLook;
  readonly clock: Clock;
}

/** What one holder of a table has seen of its database: by looks that it shares with others, and by descriptions now and then. */
export class SourceView {
  readonly #options: Pick<ResolvedTrackerOptions, 'table' | 'heartbeatIntervalMs'>;
  readonly #viewed: Viewed;
  readonly #tenure: Pick<Tenure, 'signal'>;
  /** The database's version as last seen. */
  currentVersion: bigint | null = null;
  /** How long the database keeps changes, in milliseconds, as last seen. */
  retentionMs: number | null = null;
  /** Of the columns, as last described. */
  schemaHash: string | undefined;
  #describedAtMs = 0;
  /** What the last look told of the table's definition, and what it had told before the last description. */
  #definition: string | undefined;
  #described: string | undefined;

  constructor(
    options: Pick<ResolvedTrackerOptions, 'table' | 'heartbeatIntervalMs'>,
    viewed: Viewed,
    tenure: Pick<Tenure, 'signal'>,
  ) {
    this.#options = options;
    this.#viewed = viewed;
    this.#tenure = tenure;
  }

  /**
   * @param looked a look that was begun already.
   * @throws TableNotTrackedError and its kin, or what the source throws.
   */
  async look(looked?: Promise<Look>): Promise<Seen & Pick<Look, 'askedAtMs'>> {
    const { source, look } = this.#viewed;
    const { table } = this.#options;
    const { signal } = this.#tenure;
    const seen = await untilAborted(looked ?? look.at(table), signal);
    const { epoch, currentVersion, tables, retentionMs = null, askedAtMs } = seen;
    this.retentionMs = retentionMs;
    const state = tables.get(table);
    if (state === undefined || state === null) {
      // Says whether the table, its tracking or a right is missing, where the source can tell them apart.
      await this.describe();
      throw new TableNotTrackedError(table, source.name);
    }
    this.currentVersion = currentVersion;
    this.#definition = state.definition;
    return { epoch, currentVersion, table: state, askedAtMs };
  }

  /** What a look told of the columns makes another description due, or time does. */
  descriptionIsDue(definition: string | undefined = this.#definition): boolean {
    const ageMs = this.#viewed.clock.monotonic() - this.#describedAtMs;
    const { heartbeatIntervalMs } = this.#options;
    return definition === undefined
      ? ageMs >= heartbeatIntervalMs
      : definition !== this.#described || ageMs >= heartbeatIntervalMs * SELDOM;
  }

  async describeWhenDue(): Promise<void> {
    if (this.descriptionIsDue()) {
      await this.describe();
    }
  }

  /** @throws what the source says of a table that cannot be followed. */
  async describe(): Promise<string> {
    const definition = this.#definition;
    const { source, clock } = this.#viewed;
    const { schemaHash } = await untilAborted(source.describe(this.#options.table), this.#tenure.signal);
    this.schemaHash = schemaHash;
    this.#described = definition;
    this.#describedAtMs = clock.monotonic();
    return schemaHash;
  }
}
