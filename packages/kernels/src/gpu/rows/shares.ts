// Tensors of different sizes, such as the weights of a layer, shared out among the workgroups of one dispatch.
import { u32, type GpuDispatch } from '../kernel.ts';
import { INVOCATIONS, MAX_GROUPS } from './index.ts';
import sharesWgsl from './shares.wgsl';

/** Packs of a workgroup at a time: four for each invocation, whose reads are on their way together. */
export const PACKS_AT_ONCE = 4 * INVOCATIONS;

/** A tensor, in packs: see shares.wgsl. */
export interface Span {
  readonly size: number;
  readonly start: number;
  readonly group?: number;
}

/** Packs of a workgroup, of so many in all. */
export const shareOf = (packs: number): number =>
  PACKS_AT_ONCE * Math.ceil(packs / PACKS_AT_ONCE / MAX_GROUPS);

/** The uniforms begin with those of `spansWgsl`. */
export function shareOut(spans: readonly Span[]): Required<Pick<GpuDispatch, 'uniforms' | 'workgroups'>> {
  const share = shareOf(spans.reduce((sum, { size }) => sum + size, 0));
  let workgroups = 0;
  const fields = spans.flatMap(({ size, start, group = 0 }) => {
    const first = workgroups;
    workgroups += Math.ceil(size / share);
    return [first, size, start, group];
  });
  return { uniforms: [...fields, share].map(u32), workgroups: [workgroups] };
}

/** The text of shares.wgsl for so many tensors, and the fields that their uniforms begin with. */
export const spansWgsl = (tensors: number): string => `const tensors = ${tensors}u;\n${sharesWgsl}`;
export const spanFields = 'spans: array<Span, tensors>, share: u32,';

/** Statements for one of several buffers, whose number no array can have as its index. */
export const switchWgsl = (number: string, count: number, statements: (i: number) => string): string =>
  `switch ${number} {
${Array.from({ length: count }, (_, i) => `    case ${i}u: { ${statements(i)} }`).join('\n')}
    default: {}
  }`;

const offsets = [0, 1, 2, 3].map((k) => k * INVOCATIONS);

/** The four packs of an invocation, from its first on, as `Packs`. What lies behind a share is read too, but not written. */
export const readPacks = (buffer: string, first: string): string =>
  `Packs(${offsets.map((offset) => `${buffer}[${first} + ${offset}]`).join(', ')})`;

/** @param left packs of the share from the invocation's first on */
export const writePacks = (buffer: string, first: string, left: string, packs: string): string =>
  offsets
    .map((offset, k) => `if (${offset} < ${left}) { ${buffer}[${first} + ${offset}] = ${packs}[${k}]; }`)
    .join(' ');
