import { TokenSupplierError } from '../client/client.errors.js';

/** A JSON web token, or what supplies one: asked for each connection and each challenge, so that a token may expire. */
export type TokenSource = string | (() => string | Promise<string>);

/** The token of now. */
export async function currentToken(source: TokenSource): Promise<string> {
  if (typeof source === 'string') {
    return source;
  }
  let token: unknown;
  try {
    token = await source();
  } catch (error) {
    throw new TokenSupplierError(error);
  }
  if (typeof token !== 'string' || token === '') {
    throw new TokenSupplierError(new TypeError(`It answered ${token === '' ? 'an empty text' : typeof token}.`));
  }
  return token;
}
