import type { GpuDispatch } from '../../kernel.ts';
import { chunkStage, type ScanSizes } from '../chunk-stage.ts';
import { walkFlags, type Carried } from '../segments.ts';
import { read, rowsOf, writtenRowsOf } from '../stage.ts';
import segmentCarryWgsl from './segment-carry.wgsl';

/** Columns of the state that a workgroup has. */
const COLUMNS = 8;

/** Transitions of segments, and of every 32 columns whether there is anything in them. */
export const transitionScratch = ({ segments, heads, dk }: ScanSizes) =>
  segments && {
    segmentTransitions: { shape: [segments.most, heads, dk, dk] },
    areThere: { shape: [segments.most, heads, Math.ceil(dk / 32)], dtype: 'int32' as const },
  };

/** What enters each segment, by way of `segmentTransitions`. See segment-carry.wgsl. */
export const carryByTransitions = (sizes: ScanSizes, { initial, last, fromLast }: Carried): GpuDispatch =>
  chunkStage(sizes, {
    name: 'LowRank segment carry',
    parts: [segmentCarryWgsl],
    bindings: {
      sequenceSegments: read('sequenceSegments', 'vec2u'),
      transitions: rowsOf('segmentTransitions', 'keyWidth'),
      areThere: read('areThere', 'u32'),
      initial: rowsOf(initial ?? 'segmentTransitions', 'valueWidth'),
      entries: writtenRowsOf('entries', 'valueWidth'),
      last: writtenRowsOf(last ?? 'unasked', 'valueWidth'),
    },
    told: { extra: walkFlags({ initial, last, fromLast }) },
    workgroups: [Math.ceil(sizes.dv / COLUMNS), sizes.heads, sizes.count],
  });
