import { NotFoundException } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { MAX_PROBLEM_FIELDS, problemOf, RequestRefusedError } from './problem-details.js';

describe('problemOf', () => {
  it('tells what a refusal carries, the first of many mistakes', () => {
    const errors = Array.from({ length: MAX_PROBLEM_FIELDS + 1 }, (_, index) => ({
      pointer: `#/forecasts/${index}`,
      code: 'Malformed',
      detail: 'expected a forecast',
    }));
    const problem = problemOf(new RequestRefusedError(400, 'invalid-request', 'Nothing was saved.', errors));
    expect(problem).toMatchObject({
      type: 'urn:smartpulse:problem:invalid-request',
      title: 'Bad Request',
      status: 400,
      detail: 'Nothing was saved.',
    });
    expect(problem.errors).toHaveLength(MAX_PROBLEM_FIELDS);
  });

  it('tells status and text of exceptions that are for the client', () => {
    expect(problemOf(new NotFoundException('Cannot GET /nothing'))).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: 'Cannot GET /nothing',
    });
    const tooLarge = Object.assign(new Error('request entity too large'), { status: 413, expose: true });
    expect(problemOf(tooLarge)).toMatchObject({ status: 413, detail: 'request entity too large' });
  });

  it('keeps the cause of everything else inside, also when it has a status of its own', () => {
    const inside = { type: 'about:blank', title: 'Internal Server Error', status: 500 };
    expect(problemOf(new Error('no such table: forecast'))).toEqual(inside);
    expect(problemOf(Object.assign(new Error('GET http://10.0.0.7/secret'), { status: 404 }))).toEqual(inside);
    expect(problemOf('thrown text')).toEqual(inside);
  });
});
