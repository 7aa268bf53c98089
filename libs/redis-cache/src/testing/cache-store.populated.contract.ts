import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import { type Check, POPULATED, sweepAt, TTL_MS } from './cache-store.checks.js';

/** A synced namespace in which changes create. */
export function populatedNamespaces(check: Check): readonly ContractCase[] {
  return [
    check('creates by a refresh where changes populate the namespace', async (c) => {
      await c.refreshes(5, 'applied', POPULATED);
      await c.holds('value', 5);
      await c.refreshes(5, 'duplicate', POPULATED);
      await c.refreshes(6, 'applied', POPULATED);
    }),
    check('leaves a tombstone where changes populate the namespace: a late one creates nothing', async (c, subject) => {
      await c.refreshes(5, 'applied', POPULATED);
      await c.invalidates(7, 'applied', POPULATED);
      await c.holds('tombstone', 7);
      await c.refreshes(6, 'stale', POPULATED);
      await c.holds('tombstone', 7);
      await c.refreshes(8, 'applied', POPULATED);
      await c.holds('value', 8);
      await c.invalidates(9, 'applied', POPULATED);
      await subject.elapse(TTL_MS + 10);
      await c.holds('absent');
    }),
    check('creates at the version of a tombstone: what is below it is gone, and no more', async (c) => {
      await c.invalidates(7, 'absent', POPULATED);
      await c.refreshes(7, 'applied', POPULATED);
      await c.holds('value', 7);
    }),
    check('never creates by a set without a lease, also where changes populate the namespace', async (c) => {
      await c.sets(5, 'absent', undefined, POPULATED);
      await c.holds('absent');
    }),
    check('defers a refresh to a load under way, also where changes populate the namespace', async (c) => {
      await c.lease('t');
      await c.refreshes(5, 'deferred', POPULATED);
      await c.sets(4, 'stale', 't', POPULATED);
    }),
    check('sweeps to tombstones where changes populate the namespace', async (c) => {
      await c.refreshes(5, 'applied', POPULATED);
      assert.equal((await c.sweeps(sweepAt(6, POPULATED))).swept, 1);
      await c.holds('tombstone', 6);
      await c.refreshes(5, 'stale', POPULATED);
    }),
  ];
}
