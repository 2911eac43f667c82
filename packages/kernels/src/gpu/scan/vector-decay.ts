import type { GpuDispatch } from '../kernel.ts';
import { read, written } from './stage.ts';
import { chunkStage, tilesOf, type ScanSizes } from './stages.ts';
import vectorDecayWgsl from './vector-decay.wgsl';

const READ_KEYS = `
fn alsoRead(at: u32, sum: vec2f) {
  readK[at] = k[at] * decayBetween(sum, vec2f());
}`;
const NOTHING = 'fn alsoRead(at: u32, sum: vec2f) {}';

interface VectorDecay {
  /** There is `readK` as well. */
  readonly keysRead?: boolean;
  /** Of the sums only those of whole chunks are wanted, in their last rows. */
  readonly ofChunks?: boolean;
}

/** See vector-decay.wgsl. */
export const vectorDecay = (
  sizes: ScanSizes,
  { keysRead = false, ofChunks = false }: VectorDecay = {},
): GpuDispatch =>
  chunkStage(sizes, {
    name: `Vector decay${keysRead ? ' of keys that read' : ''}`,
    parts: [vectorDecayWgsl, keysRead ? READ_KEYS : NOTHING],
    bindings: {
      sums: written('sums', 'vec2f'),
      q: read('q'),
      k: read('k'),
      logDecay: read('logDecay'),
      readQ: written('readQ'),
      writtenK: written('writtenK'),
      ...(keysRead && { readK: written('readK') }),
    },
    told: { extra: Number(ofChunks) },
    workgroups: [tilesOf(sizes.dk), sizes.heads, sizes.chunks],
  });
