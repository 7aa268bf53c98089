import { createHmac } from 'node:crypto';

/** What a token says. */
export interface TokenClaims {
  /** The role; a token without one is valid and stands for nobody. */
  readonly subject?: string | undefined;
  /** Seconds from now; negative: expired already. Left out: never expires. */
  readonly expiresInSeconds?: number | undefined;
}

/** A signed token (JWT, HS256) as brokers with this secret accept it. */
export function signToken(secret: Uint8Array, { subject, expiresInSeconds }: TokenClaims): string {
  const claims = {
    ...(subject === undefined ? {} : { sub: subject }),
    ...(expiresInSeconds === undefined ? {} : { exp: Math.floor(Date.now() / 1000) + expiresInSeconds }),
  };
  const content = [{ alg: 'HS256' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
}
