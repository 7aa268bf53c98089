import type { ChangeVersion } from '@smartpulse/cdc';
import type { ChangeEnvelope } from './change-envelope.js';

/**
 * Message properties beside the envelope: enough to invalidate the key of a message whose payload cannot be read. Names are part of
 * format 1.
 */
export const ENVELOPE_PROPERTIES = Object.freeze({
  format: 'sp-format',
  kind: 'sp-kind',
  table: 'sp-table',
  key: 'sp-key',
  epoch: 'sp-epoch',
  version: 'sp-version',
  trace: 'sp-traceparent',
});

/** What the properties alone say of a message. */
export interface PropertyStamp {
  /** What the message is about; `undefined`: it does not tell. */
  readonly kind: string | undefined;
  readonly table: string | undefined;
  readonly key: string | undefined;
  /** `undefined`: not readable, so the key can only be evicted. */
  readonly stamp: ChangeVersion | undefined;
}

/**
 * The properties of an envelope's message.
 *
 * @param traceparent of the writer, beside the trace of the message itself, which is the publisher's.
 */
export function envelopeProperties(
  envelope: ChangeEnvelope,
  traceparent: string | null = null,
): Readonly<Record<string, string>> {
  return {
    ...(traceparent === null ? {} : { [ENVELOPE_PROPERTIES.trace]: traceparent }),
    [ENVELOPE_PROPERTIES.format]: String(envelope.format),
    [ENVELOPE_PROPERTIES.kind]: envelope.kind,
    [ENVELOPE_PROPERTIES.table]: envelope.table,
    [ENVELOPE_PROPERTIES.epoch]: envelope.epoch,
    [ENVELOPE_PROPERTIES.version]: envelope.version,
    ...(envelope.key === null ? {} : { [ENVELOPE_PROPERTIES.key]: envelope.key }),
  };
}

/**
 * Reads key and stamp from properties; never throws.
 *
 * @param messageKey the message's own key, where the property is missing.
 */
export function readPropertyStamp(
  properties: Readonly<Record<string, string>>,
  messageKey: string | undefined,
): PropertyStamp {
  const epoch = properties[ENVELOPE_PROPERTIES.epoch];
  const version = properties[ENVELOPE_PROPERTIES.version];
  const readable =
    epoch !== undefined && version !== undefined && /^\d{1,10}$/.test(epoch) && /^\d{1,24}$/.test(version);
  return {
    kind: properties[ENVELOPE_PROPERTIES.kind],
    table: properties[ENVELOPE_PROPERTIES.table],
    key: properties[ENVELOPE_PROPERTIES.key] ?? messageKey,
    stamp: readable ? { epoch: BigInt(epoch), version: BigInt(version) } : undefined,
  };
}
