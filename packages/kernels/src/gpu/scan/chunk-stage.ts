// A stage that works on chunks of sequences: the sizes that it knows, and what decay.wgsl asks for.
import { f32, u32, type GpuDispatch, type Uniform } from '../kernel.ts';
import decayWgsl from './decay.wgsl';
import { read, stage, type Stage } from './stage.ts';

/** Tokens of a chunk, and rows and columns of a workgroup's tile. */
export const CHUNK = 64;

/** As decay.wgsl counts them. */
export const GATES = { none: 0, scalar: 1, vector: 2 } as const;
export type Gate = keyof typeof GATES;

/** Runs of chunks that sequences are cut into. */
export interface Segments {
  /** Chunks of a segment, but of a sequence's last one. */
  readonly length: number;
  /** That there can be at most. */
  readonly most: number;
}

export interface ScanSizes {
  readonly rows: number;
  /** S. */
  readonly count: number;
  readonly heads: number;
  readonly dk: number;
  readonly dv: number;
  readonly gate: Gate;
  /** Chunks that there can be at most. */
  readonly chunks: number;
  /** Queries read before their own gate. */
  readonly before: boolean;
  /** Where sequences are cut: see segments.ts. */
  readonly segments?: Segments | undefined;
}

/** Which border of its chunk a token looks to: reads to the start, writes to the end. */
export type Border = 'start' | 'end';

/** The fields of decay.wgsl's uniforms that are not the sizes. */
interface Told {
  readonly to?: Border;
  readonly stateScale?: number;
  readonly scoreScale?: number;
  readonly extra?: number;
}

/** The uniforms of decay.wgsl. */
const uniformsOf = (
  { heads, dk, dv, rows, before }: ScanSizes,
  { to = 'start', stateScale = 1, scoreScale = 1, extra = 0 }: Told,
): Uniform[] => [
  u32(heads),
  u32(dk),
  u32(dv),
  u32(rows),
  u32(Number(to === 'end')),
  u32(Number(before)),
  f32(stateScale),
  f32(scoreScale),
  u32(extra),
];

export type ChunkStage = Pick<Stage, 'name' | 'heading' | 'parts' | 'bindings' | 'workgroups'> &
  Partial<Pick<Stage, 'constants'>> & { readonly told?: Told };

/** A stage on chunks: its text follows decay.wgsl, its bindings those that decay.wgsl needs. */
export const chunkStage = (sizes: ScanSizes, { told = {}, constants, ...parts }: ChunkStage): GpuDispatch =>
  stage({
    ...parts,
    parts: [decayWgsl, ...parts.parts],
    bindings: {
      // Without a gate nothing reads the sums, but something must be bound.
      sums: read(sizes.gate === 'none' ? 'chunks' : 'sums', 'vec2f'),
      chunks: read('chunks', 'Chunk'),
      ...parts.bindings,
    },
    uniforms: uniformsOf(sizes, told),
    constants: { gate: GATES[sizes.gate], ...constants },
    aligned: sizes.dk % 4 === 0 && sizes.dv % 4 === 0,
  });
