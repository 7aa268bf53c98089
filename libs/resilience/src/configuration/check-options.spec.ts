import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigurationError } from '../resilience.errors.js';
import { checkOptions } from './check-options.js';

const schema = z.strictObject({
  url: z.string({ error: 'expected a text' }),
  producer: z.strictObject({ batching: z.boolean().optional() }).optional(),
});

describe('checkOptions', () => {
  it('names each option that there is not, by where it stands, beside all else that is wrong', () => {
    const wrong = { uri: 'x', producer: { batch: true, linger: 5 } };
    expect(() => checkOptions('Module.forRoot', schema, wrong)).toThrow(ConfigurationError);
    expect(() => checkOptions('Module.forRoot', schema, wrong)).toThrow(
      'Module.forRoot: option "url": expected a text; option "producer.batch": there is no option of this name; ' +
        'option "producer.linger": there is no option of this name; option "uri": there is no option of this name. ' +
        'Correct them where Module.forRoot is called and start again.',
    );
  });

  it('answers what the schema makes of options that are right', () => {
    expect(checkOptions('Module.forRoot', schema, { url: 'memory://' })).toEqual({ url: 'memory://' });
  });
});
