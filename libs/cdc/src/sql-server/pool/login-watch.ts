import { readDriverError } from '../errors/driver-error.js';

/** What is used of a tedious connection. */
export interface WatchedConnection {
  on(event: 'errorMessage', listener: (message: LoginMessage) => void): unknown;
  on(event: 'connect', listener: (error?: Error) => void): unknown;
}

/** An error token as tedious hands it out. */
export interface LoginMessage {
  readonly number: number;
  readonly class: number;
  readonly message: string;
}

/** A login that failed, with what the server said: the driver keeps only "Login failed" and the code ELOGIN. */
export class LoginError extends Error {
  override readonly name = 'LoginError';
  readonly code = 'ELOGIN';
  readonly precedingErrors: readonly LoginMessage[];

  constructor(messages: readonly LoginMessage[], cause: unknown) {
    super('The login failed.', { cause });
    this.precedingErrors = messages;
  }
}

/** Errors kept of one login: a failing one sends one to three. */
const MOST_MESSAGES = 8;

/** Keeps what the server says while connections log in: the only place where a failed login's number can be had. */
export class LoginWatch {
  #messages: LoginMessage[] = [];

  watch(connection: WatchedConnection): void {
    const messages: LoginMessage[] = [];
    let loggedIn = false;
    connection.on('errorMessage', ({ number, class: severity, message }) => {
      if (!loggedIn && messages.length < MOST_MESSAGES) {
        messages.push({ number, class: severity, message });
        this.#messages = messages;
      }
    });
    connection.on('connect', (error) => {
      loggedIn = error === undefined;
    });
  }

  /** The error with the numbers of the last failed login, if it is one of a login. */
  explain(error: unknown): unknown {
    const { codes, messages } = readDriverError(error);
    return codes.includes('ELOGIN') && messages.length === 0 && this.#messages.length > 0
      ? new LoginError(this.#messages, error)
      : error;
  }
}
