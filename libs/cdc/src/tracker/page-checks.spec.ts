import { describe, expect, it } from 'vitest';
import { PortContractError } from '../cdc.errors.js';
import { LAB_TABLE, TrackerLab } from '../testing/index.js';
import type { ChangePage, PageRequest } from '../source/change.source.js';
import { checkPage } from './page-checks.js';

async function pageOf(request: Partial<PageRequest>): Promise<{ page: ChangePage; request: PageRequest }> {
  const lab = new TrackerLab();
  lab.write(1, 2);
  lab.write(3);
  const { signal } = new AbortController();
  const whole = { table: LAB_TABLE, after: 0n, cursor: null, limit: 10, signal, ...request };
  return { page: await lab.source.readPage(whole), request: whole };
}

describe('checkPage', () => {
  it('accepts a page in the order of versions after the position', async () => {
    const { page, request } = await pageOf({});

    expect(() => checkPage(page, request)).not.toThrow();
  });

  it.each([
    ['too many changes', (page: ChangePage, request: PageRequest) => [page, { ...request, limit: 2 }] as const],
    [
      'cursors missing',
      (page: ChangePage, request: PageRequest) => [{ ...page, cursors: page.cursors.slice(1) }, request] as const,
    ],
    ['versions going back', (page: ChangePage, request: PageRequest) => [reversed(page), request] as const],
    [
      'changes from before the position',
      (page: ChangePage, request: PageRequest) => [page, { ...request, after: 1n }] as const,
    ],
    [
      'changes from before the cursor',
      (page: ChangePage, request: PageRequest) => [page, { ...request, cursor: { version: 2n, key: 'a' } }] as const,
    ],
    [
      'changes above its upper version',
      (page: ChangePage, request: PageRequest) => [{ ...page, upperVersion: 1n }, request] as const,
    ],
  ])('refuses %s', async (_, broken) => {
    const { page, request } = await pageOf({});

    expect(() => checkPage(...broken(page, request))).toThrow(PortContractError);
  });
});

function reversed(page: ChangePage): ChangePage {
  return { ...page, changes: page.changes.toReversed(), cursors: page.cursors.toReversed() };
}
