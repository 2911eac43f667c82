// The stages that only the diagonal-decay scan has.
import type { GpuDispatch } from '../gpu/kernel.ts';
import { read, rowsOf, written } from '../gpu/scan/stage.ts';
import { chunkStage, scores, tilesOf, type Border, type ScanSizes } from '../gpu/scan/stages.ts';
import pullWgsl from './pull.wgsl';
import vectorDecayWgsl from './vector-decay.wgsl';
import vectorScoresWgsl from './vector-scores.wgsl';

/**
 * Sequences that are no longer go token by token, in f32: one dispatch, which for single tokens moves the state just once.
 */
export const FEW_TOKENS = 8;

/** See vector-decay.wgsl. */
export const vectorDecay = (sizes: ScanSizes): GpuDispatch =>
  chunkStage(sizes, {
    name: 'DiagonalDecay vector decay',
    parts: [vectorDecayWgsl],
    bindings: {
      sums: written('sums', 'vec2f'),
      q: read('q'),
      k: read('k'),
      logDecay: read('logDecay'),
      readQ: written('readQ'),
      writtenK: written('writtenK'),
    },
    workgroups: [tilesOf(sizes.dk), sizes.heads, sizes.chunks],
  });

/** `scores` of q and k; with a gate for each channel, decayed. */
export const readScores = (sizes: ScanSizes, { bonus }: { readonly bonus?: unknown }): GpuDispatch =>
  sizes.gate === 'vector'
    ? chunkStage(sizes, {
        name: 'DiagonalDecay vector scores',
        parts: [vectorScoresWgsl],
        bindings: {
          q: rowsOf('q', 'keyWidth'),
          k: rowsOf('k', 'keyWidth'),
          sumPairs: rowsOf('sums', 'extra'),
          bonus: rowsOf(bonus ? 'bonus' : 'q', 'keyWidth'),
          scores: written('scores'),
        },
        told: { extra: 2 * sizes.dk },
        workgroups: [4, sizes.heads, sizes.chunks],
      })
    : scores(sizes, { x: 'q', y: 'k', width: sizes.dk, scores: 'scores' });

interface Pull {
  readonly y: string;
  readonly z: string;
  readonly weight: string;
  readonly to: Border;
  readonly scale: number;
}

/** See pull.wgsl. */
export const pull = (sizes: ScanSizes, { y, z, weight, to, scale }: Pull): GpuDispatch =>
  chunkStage(sizes, {
    name: 'DiagonalDecay pull',
    parts: [pullWgsl],
    bindings: {
      scores: read('dScores', 'vec4f'),
      y: read(y),
      bonus: read(sizes.before ? 'bonus' : y),
      weight: read(weight),
      z: written(z),
      gates: written('gates'),
    },
    told: { to, scoreScale: scale },
    workgroups: [tilesOf(sizes.dk), sizes.heads, sizes.chunks],
  });
