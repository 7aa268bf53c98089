/** Where one server is. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** Who connects; nothing where nobody is asked. */
export interface RedisLogin {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** What a URL of several servers says. */
export type RedisUrl =
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly RedisAddress[];
      readonly masterName: string;
      readonly database: number;
      readonly tls: boolean;
      /** Of the servers that hold the data. */
      readonly login: RedisLogin;
      /** Of the sentinels. */
      readonly sentinelLogin: RedisLogin;
    }
  | {
      readonly kind: 'cluster';
      readonly seeds: readonly RedisAddress[];
      readonly tls: boolean;
      readonly login: RedisLogin;
    };

const FORM = /^redis(s?)\+(sentinel|cluster):\/\/(?:([^@/?]*)@)?([^/?#]*)([^?#]*)(?:\?([^#]*))?$/;
const SENTINEL_PORT = 26_379;
const PORT = 6_379;
const SENTINEL_PARAMETERS: ReadonlySet<string> = new Set(['sentinel_username', 'sentinel_password']);

/** What is wrong with a URL; never shows a part of it that could be a secret. */
export class RedisUrlProblem {
  constructor(readonly text: string) {}
}

/** Whether the URL names several servers: such a URL is none for the URL class, which knows one host. */
export function namesSeveralServers(url: string): boolean {
  return /^rediss?\+(?:sentinel|cluster):/.test(url);
}

/**
 * Reads `redis+sentinel://[user:password@]host[:port][,host…]/masterName[/database]` and `redis+cluster://[user:password@]host[:port][,host…]`, with
 * `rediss+…` for TLS.
 */
export function readRedisUrl(url: string): RedisUrl | RedisUrlProblem {
  const parts = FORM.exec(url);
  if (parts === null) {
    return new RedisUrlProblem('expected redis+sentinel://host:port,host:port/masterName or redis+cluster://host:port');
  }
  const [, secure, kind, user, list = '', path = '', query = ''] = parts;
  const tls = secure === 's';
  const login = readLogin(user);
  const addresses = list.split(',').map((text) => readAddress(text, kind === 'sentinel' ? SENTINEL_PORT : PORT));
  const known = addresses.filter((address) => address !== undefined);
  if (login === undefined) {
    return new RedisUrlProblem('its user or password is not percent-encoded as in a URL');
  }
  if (known.length !== addresses.length) {
    return new RedisUrlProblem('expected host[:port], with commas between several, in front of the first slash');
  }
  if (kind === 'cluster') {
    return readCluster(path, query) ?? { kind, seeds: known, tls, login };
  }
  return readSentinel(path, query, { sentinels: known, tls, login });
}

function readCluster(path: string, query: string): RedisUrlProblem | undefined {
  if (path !== '' && path !== '/' && path !== '/0') {
    return new RedisUrlProblem('a cluster has the database 0 only; end the URL behind the hosts');
  }
  return query === ''
    ? undefined
    : new RedisUrlProblem('a URL of a cluster has no parameters; hand in a client instead');
}

function readSentinel(
  path: string,
  query: string,
  rest: { readonly sentinels: readonly RedisAddress[]; readonly tls: boolean; readonly login: RedisLogin },
): RedisUrl | RedisUrlProblem {
  const [, name = '', database = '0', ...more] = path.split('/');
  const masterName = decoded(name);
  if (masterName === undefined || masterName === '') {
    return new RedisUrlProblem('the name of the master, as the sentinels know it, is missing: …/masterName');
  }
  if (!/^\d{1,5}$/.test(database) || more.length > 0) {
    return new RedisUrlProblem('expected nothing but the number of the database behind the name of the master');
  }
  const parameters = new URLSearchParams(query);
  if ([...parameters.keys()].some((key) => !SENTINEL_PARAMETERS.has(key))) {
    return new RedisUrlProblem(
      'its parameters may be sentinel_username and sentinel_password; hand in a client for more',
    );
  }
  const username = parameters.get('sentinel_username') ?? undefined;
  const password = parameters.get('sentinel_password') ?? undefined;
  return { kind: 'sentinel', ...rest, masterName, database: Number(database), sentinelLogin: { username, password } };
}

function readLogin(text: string | undefined): RedisLogin | undefined {
  if (text === undefined || text === '') {
    return {};
  }
  const at = text.indexOf(':');
  const username = decoded(at === -1 ? text : text.slice(0, at));
  const password = at === -1 ? undefined : decoded(text.slice(at + 1));
  if (username === undefined || (at !== -1 && password === undefined)) {
    return undefined;
  }
  return { username: username === '' ? undefined : username, password };
}

function readAddress(text: string, fallbackPort: number): RedisAddress | undefined {
  const parts = /^(?:\[([\da-fA-F:.]+)\]|([^\s:@[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3] ?? fallbackPort);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
