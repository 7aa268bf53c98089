import { SmartPulseError } from '@smartpulse/resilience';
import { classifySqlServerError } from '../errors/classify.js';
import { connectionProblemOf } from '../errors/connection-problem.js';
import { connectionProblemText } from '../sql-server.errors.js';
import type { Finding, FindingCode } from './findings.js';

const CODES: readonly FindingCode[] = [
  'unreachable',
  'loginFailed',
  'databaseNotOpened',
  'certificateRefused',
  'encryptionRequired',
  'examinationFailed',
];

/** Whether a finding says that nothing could be found out. */
export function isNoExamination({ code }: Finding): boolean {
  return CODES.includes(code);
}

/**
 * Why nothing could be examined, as a finding. It says no more of a server's error than its number: its text may hold data.
 *
 * @param subject the server and database, without credentials.
 */
export function whyNotExamined(error: unknown, subject: string): Finding {
  const tell = (code: FindingCode, problem: string, remedy: string): Finding => {
    return { code, subject, severity: 'error', problem, remedy, sql: [] };
  };
  const failure = classifySqlServerError(error);
  // A statement that took too long is no answer either.
  const kind = connectionProblemOf(error) ?? (failure.class === 'timeout' ? 'unreachable' : undefined);
  if (kind !== undefined) {
    const { problem, remedy } = connectionProblemText(kind, failure);
    return tell(kind, `${subject} ${problem}`, remedy);
  }
  if (error instanceof SmartPulseError) {
    return tell('examinationFailed', error.message.replace(error.remedy, '').trimEnd(), error.remedy);
  }
  const { number, code } = failure;
  const what = number === null ? (code ?? (error instanceof Error ? error.name : 'unknown')) : `error ${number}`;
  return tell('examinationFailed', `It failed: ${what} (${failure.class}).`, 'Look the number up, and at the server.');
}
