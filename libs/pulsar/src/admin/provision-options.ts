import { z } from 'zod';
import type { NamespacePolicies } from './broker-admin.js';

/** A namespace that an app needs, and the policies that it wants of it; those that are left out stay as they are. */
export interface ProvisionedNamespace extends NamespacePolicies {
  /** `tenant/namespace`. */
  readonly name: string;
}

/** A topic that an app needs. */
export interface ProvisionedTopic {
  /** Short or full name. */
  readonly topic: string;
  /** 0 = not partitioned. An existing topic is given more, never less. Default 0. */
  readonly partitions?: number | undefined;
}

/** What there has to be on the broker before an app begins. */
export interface ProvisionOptions {
  readonly tenants?: readonly string[] | undefined;
  readonly namespaces?: readonly ProvisionedNamespace[] | undefined;
  readonly topics?: readonly ProvisionedTopic[] | undefined;
}

const whole = (min: number, what: string) =>
  z
    .number({ error: `expected a whole number of ${what}, at least ${min}` })
    .int({ error: `expected a whole number of ${what}, at least ${min}` })
    .min(min, { error: `expected a whole number of ${what}, at least ${min}` });
const name = z.string({ error: 'expected a text' }).min(1, { error: 'expected a text that is not empty' });

export const provisionSchema = z.strictObject(
  {
    tenants: z.array(name).optional(),
    namespaces: z
      .array(
        z.strictObject({
          name,
          retention: z.strictObject({ minutes: whole(-1, 'minutes'), megabytes: whole(-1, 'MiB') }).optional(),
          deduplication: z.boolean({ error: 'expected true or false' }).optional(),
          messageTtlSeconds: whole(0, 'seconds').optional(),
          backlogQuota: z
            .strictObject({
              limitBytes: whole(-1, 'bytes'),
              policy: z.enum(['producer_request_hold', 'producer_exception', 'consumer_backlog_eviction']),
            })
            .optional(),
        }),
      )
      .optional(),
    topics: z.array(z.strictObject({ topic: name, partitions: whole(0, 'partitions').optional() })).optional(),
  },
  { error: 'expected { tenants?, namespaces?, topics? }' },
);
