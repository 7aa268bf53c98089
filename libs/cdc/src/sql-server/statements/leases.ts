import { quoteSchema } from './identifier.js';
import {
  big,
  int,
  session,
  type SqlServerParameter,
  type SqlServerStatement,
  type StatementLimits,
  text,
} from './statement.js';

/** Who asks for a lease, and which. */
export interface LeaseRequest extends StatementLimits {
  readonly schema: string;
  readonly resource: string;
  readonly owner: string;
  readonly ttlMs: number;
}

/** A lease that was granted. */
export interface HeldLeaseRequest extends LeaseRequest {
  readonly fence: bigint;
}

/**
 * A replica says that it lives and that it would take the resource: (its share, how many leases it holds). All times are the server's.
 * The share is the number of resources that somebody asked for lately, divided by the replicas that live, rounded up.
 */
export function askForLease(request: LeaseRequest): SqlServerStatement {
  const { lease, replica } = tablesIn(request.schema);
  return {
    name: 'askForLease',
    sql: `${session('READ COMMITTED', request)}
UPDATE ${replica} SET expires_at = DATEADD(millisecond, @ttl_ms, SYSUTCDATETIME()) WHERE owner = @owner;
INSERT INTO ${replica} (owner, expires_at) SELECT @owner, DATEADD(millisecond, @ttl_ms, SYSUTCDATETIME())
WHERE NOT EXISTS (SELECT 1 FROM ${replica} WITH (UPDLOCK, HOLDLOCK) WHERE owner = @owner);
UPDATE ${lease} SET asked_at = SYSUTCDATETIME() WHERE resource = @resource;
INSERT INTO ${lease} (resource, owner, fence, expires_at, asked_at) SELECT @resource, NULL, 0, SYSUTCDATETIME(), SYSUTCDATETIME()
WHERE NOT EXISTS (SELECT 1 FROM ${lease} WITH (UPDLOCK, HOLDLOCK) WHERE resource = @resource);
${shareSql(lease, replica)}`,
    parameters: parametersOf(request),
  };
}

/**
 * Takes a lease that is free, or that its holder did not renew in time; answers the new fence. Fences rise with every holder, and with
 * the clock, so that a database that was put back from a backup gives out none that was given out since.
 *
 * @param idleMs takes it only when it was free for so long: a replica that has its share leaves others the time to take it.
 */
export function takeLease(request: LeaseRequest, idleMs: number): SqlServerStatement {
  const { lease } = tablesIn(request.schema);
  return {
    name: 'takeLease',
    sql: `${session('READ COMMITTED', request)}
UPDATE ${lease} SET owner = @owner,
  fence = CASE WHEN fence >= DATEDIFF_BIG(millisecond, '19700101', SYSUTCDATETIME()) THEN fence + 1 ELSE DATEDIFF_BIG(millisecond, '19700101', SYSUTCDATETIME()) END,
  expires_at = DATEADD(millisecond, @ttl_ms, SYSUTCDATETIME())
OUTPUT inserted.fence WHERE resource = @resource AND expires_at <= DATEADD(millisecond, -@idle_ms, SYSUTCDATETIME());`,
    parameters: [...parametersOf(request), int('idle_ms', idleMs)],
  };
}

/** Leases that one renewal names at most: the server takes 2,100 parameters. */
export const MOST_LEASES_PER_RENEWAL = 500;

/**
 * Renews leases of one replica in one statement, also those that ran out when nobody has taken them since: (resource and fence of each that
 * it did), (share, how many leases are held).
 *
 * @param leases at least one, at most {@link MOST_LEASES_PER_RENEWAL}.
 */
export function renewLeases(
  request: Omit<LeaseRequest, 'resource'>,
  leases: readonly { readonly resource: string; readonly fence: bigint }[],
): SqlServerStatement {
  const { lease, replica } = tablesIn(request.schema);
  const these = leases.map((_, index) => `(resource = @resource${index} AND fence = @fence${index})`).join(' OR ');
  return {
    name: 'renewLeases',
    sql: `${session('READ COMMITTED', request)}
UPDATE ${lease} SET expires_at = DATEADD(millisecond, @ttl_ms, SYSUTCDATETIME()), asked_at = SYSUTCDATETIME()
OUTPUT inserted.resource, inserted.fence WHERE owner = @owner AND (${these});
UPDATE ${replica} SET expires_at = DATEADD(millisecond, @ttl_ms, SYSUTCDATETIME()) WHERE owner = @owner;
${shareSql(lease, replica)}`,
    parameters: [
      text('owner', request.owner),
      int('ttl_ms', request.ttlMs),
      ...leases.flatMap(({ resource, fence }, index) => [
        text(`resource${index}`, resource),
        big(`fence${index}`, fence),
      ]),
    ],
  };
}

/** Gives a lease back, so that the next holder need not wait for its end. */
export function releaseLease(request: HeldLeaseRequest): SqlServerStatement {
  const { lease } = tablesIn(request.schema);
  return {
    name: 'releaseLease',
    sql: `${session('READ COMMITTED', request)}
UPDATE ${lease} SET owner = NULL, expires_at = SYSUTCDATETIME() WHERE resource = @resource AND owner = @owner AND fence = @fence;`,
    parameters: [text('resource', request.resource), text('owner', request.owner), big('fence', request.fence)],
  };
}

/** A replica leaves: its share goes to the others at once. */
export function leaveReplicas(owner: string, schema: string, limits: StatementLimits): SqlServerStatement {
  const { replica } = tablesIn(schema);
  return {
    name: 'leaveReplicas',
    sql: `${session('READ COMMITTED', limits)}
DELETE FROM ${replica} WHERE owner = @owner OR expires_at <= SYSUTCDATETIME();`,
    parameters: [text('owner', owner)],
  };
}

/** Twice the life of a lease: who has not asked for so long is gone. */
function shareSql(lease: string, replica: string): string {
  return `SELECT (SELECT COUNT(*) FROM ${lease} WHERE asked_at > DATEADD(millisecond, -2 * @ttl_ms, SYSUTCDATETIME())) AS resources,
  (SELECT COUNT(*) FROM ${replica} WHERE expires_at > SYSUTCDATETIME()) AS replicas,
  (SELECT COUNT(*) FROM ${lease} WHERE owner = @owner AND expires_at > SYSUTCDATETIME()) AS held;`;
}

function tablesIn(schema: string): { readonly lease: string; readonly replica: string } {
  const quoted = quoteSchema(schema);
  return { lease: `${quoted}.[cdc_lease]`, replica: `${quoted}.[cdc_replica]` };
}

function parametersOf({ resource, owner, ttlMs }: LeaseRequest): readonly SqlServerParameter[] {
  return [text('resource', resource), text('owner', owner), int('ttl_ms', ttlMs)];
}
