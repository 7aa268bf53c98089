import { type Checkpoint } from '@smartpulse/cdc';
import { injectedFault, type FaultPlan, type FaultPoint } from '@smartpulse/pulsar/testing';
import { type SeededRandom } from '@smartpulse/resilience/testing';
import { changesOf, type PromiseStage, STOCK, STOCK_TOPIC, type StageReplica } from './promise-stage.js';

/** The steps between a change in the table and a saved checkpoint, in their order. */
export type PublishStep = Extract<FaultPoint, 'send' | 'afterSend' | 'flush'> | 'beforeSave' | 'afterSave';

/** All of them. */
export const PUBLISH_STEPS: readonly PublishStep[] = ['send', 'afterSend', 'flush', 'beforeSave', 'afterSave'];

/** What the broker has acknowledged, held against every checkpoint that is about to be saved. */
export class Acknowledgements {
  /** Checkpoints that were looked at. */
  checked = 0;
  /** Checkpoints that would have moved past a change that the broker has not acknowledged. */
  readonly ahead: string[] = [];
  readonly #acknowledged = new Map<number, bigint>();

  constructor(private readonly stage: PromiseStage) {}

  /**
   * Looks over a replica's shoulder.
   *
   * @param faults how often, from 0 to 1, each step fails; what fails after the broker has stored a message counts as not acknowledged.
   */
  watch(replica: StageReplica, random: SeededRandom, faults: number): void {
    const strikes = (): boolean => random.next() < faults;
    const plan: FaultPlan = ({ point, topic, message }) => {
      if (topic !== STOCK_TOPIC || point === 'subscribe' || point === 'ack') {
        return undefined;
      }
      if (strikes()) {
        return injectedFault(topic, { ambiguous: point === 'afterSend' });
      }
      if (point === 'afterSend' && message !== undefined) {
        this.#note(message.payload);
      }
      return undefined;
    };
    replica.transport.plan = plan;
    replica.checkpoints.beforeSave = (checkpoint) => {
      this.#check(checkpoint);
      return strikes() ? new Error('The database refuses.') : undefined;
    };
    replica.checkpoints.afterSave = () => (strikes() ? new Error('The answer is lost.') : undefined);
  }

  #note(payload: Uint8Array): void {
    for (const [id, version] of changesOf(payload)) {
      if (version > (this.#acknowledged.get(id) ?? -1n)) {
        this.#acknowledged.set(id, version);
      }
    }
  }

  /** Everything at or below the position, and inside its next version up to its cursor, has to be acknowledged in that version. */
  #check({ phase }: Checkpoint): void {
    if (phase.kind !== 'streaming') {
      return;
    }
    this.checked += 1;
    const { version, cursor } = phase;
    for (const { key, primaryKey, version: changed } of this.stage.source.log(STOCK).values()) {
      const behind = changed <= version || (cursor !== null && changed === cursor.version && key <= cursor.key);
      const id = Number(primaryKey['id']);
      if (behind && (this.#acknowledged.get(id) ?? -1n) < changed) {
        this.ahead.push(`row ${id} at ${changed}, checkpoint ${version}`);
      }
    }
  }
}

/** Kills the replica when it comes to `step` for the `count`th time. */
export function killAt(stage: PromiseStage, replica: StageReplica, step: PublishStep, count: number): void {
  let passed = 0;
  const reached = (): boolean => ++passed === count;
  const die = (): Error => {
    stage.kill(replica);
    return new Error('The process dies.');
  };
  if (step === 'beforeSave' || step === 'afterSave') {
    replica.checkpoints[step] = () => (reached() ? die() : undefined);
  } else {
    replica.transport.plan = ({ point, topic }) =>
      point === step && topic === STOCK_TOPIC && reached() ? die() : undefined;
  }
}
