import type { SetOutcome } from '../../store/cache.store.js';
import type { EntryState, EntryWrite, Step } from '../../embedded/entry.protocol.js';
import {
  FieldsProtocol,
  type FieldsRequest,
  type FieldsStep,
  type HashContent,
} from '../../embedded/fields/fields.protocol.js';
import { EntryVersion } from '../../version/entry-version.js';

class StepsNotCounted extends FieldsProtocol {
  protected override counted(revision: bigint): bigint {
    return revision;
  }
}

class FloorNotRaisedByFields extends FieldsProtocol {
  protected override raisedFloor(floor: EntryVersion): EntryVersion {
    return floor;
  }
}

class BaseNotCompared extends FieldsProtocol {
  protected override standing(): EntryVersion {
    return EntryVersion.ZERO;
  }
}

class FieldsCreate extends FieldsProtocol {
  protected override foundNoHash(state: EntryState<HashContent> | undefined, request: FieldsRequest): FieldsStep {
    return state === undefined
      ? this.setFields(state, { ...request, synced: false })
      : super.foundNoHash(state, request);
  }
}

class NewerFieldsDropped extends FieldsProtocol {
  override set(
    state: EntryState<HashContent> | undefined,
    write: EntryWrite<HashContent>,
    token: string | undefined,
  ): Step<SetOutcome, HashContent> {
    const step = super.set(state, write, token);
    return step.outcome === 'applied' && write.payload !== null
      ? { ...step, next: { kind: 'value', version: write.version, payload: write.payload } }
      : step;
  }
}

const PROTOCOLS = {
  'each step that changes fields counts in the stamp': StepsNotCounted,
  'a change of fields raises the floor of a lease': FloorNotRaisedByFields,
  'a field is compared with its own version, or the base': BaseNotCompared,
  'changes of fields never create a hash': FieldsCreate,
  'what replaces a hash leaves fields above it': NewerFieldsDropped,
} as const;

/** A rule of hashes that a test can take away, to see what it is for. */
export type FieldRule = keyof typeof PROTOCOLS;

/** The rules of hashes without one of them. */
export function withoutFieldRule(rule: FieldRule): FieldsProtocol {
  return new PROTOCOLS[rule]();
}
