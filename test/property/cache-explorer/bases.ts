import { places, type State } from './state.js';

const { at, BASE } = places;
const WRITER = 4;

/** What each replica has shown and each call is promised: contents of two bits in one number for each replica. */
export class Bases {
  constructor(
    private readonly state: State,
    private readonly joined: (a: number, b: number) => number,
  ) {}

  /** The newest content that a reader of the replica was shown, or that its writer was told is in effect. */
  kept(r: number, which: 'shown' | 'committed'): number {
    return (at(this.state, BASE + r) >> (which === 'shown' ? 0 : 2)) & 3;
  }

  raise(r: number, which: 'shown' | 'committed', content: number): void {
    const shift = which === 'shown' ? 0 : 2;
    const known = this.kept(r, which);
    this.state[BASE + r] = (at(this.state, BASE + r) & ~(3 << shift)) | (this.joined(known, content) << shift);
  }

  /** What a call is promised: not less than what was shown (`i1`), and than the commit (`i4`), before it began. */
  of(r: number, slot: number, which: 'i1' | 'i4'): number {
    return (at(this.state, BASE + r) >> (4 + slot * 4 + (which === 'i1' ? 0 : 2))) & 3;
  }

  set(r: number, slot: number, i1: number, i4: number): void {
    const shift = 4 + slot * 4;
    this.state[BASE + r] = (at(this.state, BASE + r) & ~(15 << shift)) | ((i1 | (i4 << 2)) << shift);
  }

  /** Messages may have been lost: who reads now is promised less. */
  forget(r: number): void {
    for (let slot = 0; slot < WRITER; slot++) {
      this.set(r, slot, 0, this.of(r, slot, 'i4'));
    }
  }
}
