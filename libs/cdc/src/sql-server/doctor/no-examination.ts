import { SmartPulseError } from '@smartpulse/resilience';
import { classifySqlServerError, type SqlServerFailure } from '../errors/classify.js';
import type { Finding, FindingCode } from './findings.js';

const CODES: readonly FindingCode[] = ['unreachable', 'loginFailed', 'databaseNotOpened', 'examinationFailed'];

/** Whether a finding says that nothing could be found out. */
export function isNoExamination({ code }: Finding): boolean {
  return CODES.includes(code);
}

/** Cannot be opened, no user in it, or its default database is gone. */
const NOT_OPENED: readonly number[] = [916, 4060, 4064];
const LOGINS: readonly number[] = [18452, 18456, 18470, 18486, 18487, 18488];

const SAID: Readonly<Record<'loginFailed' | 'databaseNotOpened' | 'unreachable', readonly [string, string]>> =
  Object.freeze({
    loginFailed: ['refuses the login', "Correct the user or the password; the server's log has the reason behind it."],
    databaseNotOpened: [
      'does not open the database',
      'Create it, correct its name, or let the login in: CREATE USER … FOR LOGIN …; in that database.',
    ],
    unreachable: [
      'does not answer',
      'Look at its name, its port, the network between, and whether encrypt and trustServerCertificate are as the server wants them.',
    ],
  });

/**
 * Why nothing could be examined, as a finding. It says no more of a server's error than its number: its text may hold data.
 *
 * @param subject the server and database, without credentials.
 */
export function whyNotExamined(error: unknown, subject: string): Finding {
  const tell = (code: FindingCode, problem: string, remedy: string): Finding => {
    return { code, subject, severity: 'error', problem, remedy, sql: [] };
  };
  if (error instanceof SmartPulseError) {
    return tell('examinationFailed', error.message.replace(error.remedy, '').trimEnd(), error.remedy);
  }
  const failure = classifySqlServerError(error);
  const { number, code } = failure;
  const what = number === null ? (code ?? (error instanceof Error ? error.name : 'unknown')) : `error ${number}`;
  const kind = kindOf(failure);
  if (kind === undefined) {
    return tell(
      'examinationFailed',
      `It failed: ${what} (${failure.class}).`,
      'Look the number up, and at the server.',
    );
  }
  const [problem, remedy] = SAID[kind];
  return tell(kind, `${subject} ${problem} (${what}).`, remedy);
}

function kindOf({ number, code, class: errorClass }: SqlServerFailure): keyof typeof SAID | undefined {
  if (number !== null) {
    return LOGINS.includes(number) ? 'loginFailed' : NOT_OPENED.includes(number) ? 'databaseNotOpened' : undefined;
  }
  if (code === 'ELOGIN') {
    return 'loginFailed';
  }
  return errorClass === 'connection' || errorClass === 'timeout' ? 'unreachable' : undefined;
}
