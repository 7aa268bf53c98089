import { z } from 'zod';
import { type NotificationPage } from '../store/notification.store.js';
import { readRequest } from './problem/invalid-request.error.js';

const MAX_PAGE = 100;
const wholeNumber = (expected: string) =>
  z
    .string(expected)
    .regex(/^[1-9]\d{0,14}$/, expected)
    .transform(Number);

const listQuery = z.strictObject({
  limit: wholeNumber(`expected a whole number from 1 to ${MAX_PAGE}`)
    .refine((limit) => limit <= MAX_PAGE, `expected a whole number from 1 to ${MAX_PAGE}`)
    .optional(),
  before: wholeNumber('expected what `next` of the page before said').optional(),
  status: z.enum(['new', 'seen'], 'expected new or seen').optional(),
});

const idParams = z.strictObject({ id: wholeNumber('expected the id of a notification') });

const readAllBody = z.strictObject(
  {
    upTo: z
      .number('expected the id of a notification')
      .int('expected the id of a notification')
      .positive('expected the id of a notification'),
  },
  'expected an object with upTo',
);

/** @throws InvalidRequestError. */
export function parseListQuery(query: unknown): NotificationPage {
  const { limit, before, status } = readRequest(listQuery, query, '');
  return { limit: limit ?? 20, before, status };
}

/** @throws InvalidRequestError. */
export function parseId(params: unknown): number {
  return readRequest(idParams, params, '').id;
}

/** @throws InvalidRequestError. */
export function parseReadAll(body: unknown): number {
  return readRequest(readAllBody, body, '#/').upTo;
}
