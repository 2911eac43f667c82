// The plan on WebGPU: counts in chunks of rows, their prefix sums, and the places of the copies; three dispatches.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32 } from '../gpu/kernel.ts';
import { spread } from '../gpu/spread.ts';
import countWgsl from './count.wgsl';
import masksWgsl from './masks.wgsl';
import placeWgsl from './place.wgsl';
import type { Attrs, Inputs } from './portable.ts';
import sumWgsl from './sum.wgsl';

const CHUNK_ROWS = 128;
/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 8;

const countText = [masksWgsl, countWgsl].join('\n');
const placeText = [masksWgsl, placeWgsl].join('\n');

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs, device: { limits } }) => {
  const { memories, isShared } = attrs;
  const [rows = 0, given = 0] = shapes.choices;
  const chosen = given + Number(isShared);
  const [sequences = 0] = shapes.starts;
  const maskBytes = (memories * CHUNK_ROWS) / 8;
  const fits =
    maskBytes <= limits.maxComputeWorkgroupStorageSize &&
    MOST_BUFFERS <= limits.maxStorageBuffersPerShaderStage;
  if (!fits) return undefined;
  // Each sequence ends in one chunk that need not be full.
  const chunks = Math.floor(rows / CHUNK_ROWS) + sequences;
  const numbers = (...shape: number[]) => ({ shape, dtype: 'int32' }) as const;
  const sizes = [rows, sequences, chunks, chosen, given].map(u32);
  const workgroups = spread(chunks);
  return {
    // The op has inputs of the names `starts` and `lengths`.
    outputs: {
      source: numbers(rows * chosen),
      position: numbers(rows, chosen),
      bucketStarts: numbers(memories * sequences),
      bucketLengths: numbers(memories * sequences),
      rowBucket: numbers(rows * chosen),
      groupStarts: numbers(memories),
      groupLengths: numbers(memories),
      rowGroup: numbers(rows * chosen),
    },
    scratch: {
      chunks: numbers(chunks, 4),
      sequenceChunks: numbers(sequences),
      counts: numbers(memories * chunks),
      firsts: numbers(memories * chunks + 1),
    },
    dispatches: [
      {
        kernel: {
          name: 'RoutePlan count',
          wgsl: countText,
          bindings: ['read', 'read', 'read', 'write', 'write', 'write'],
          constants: { memories },
        },
        buffers: ['choices', 'starts', 'lengths', 'chunks', 'sequenceChunks', 'counts'],
        uniforms: sizes,
        workgroups,
      },
      {
        kernel: {
          name: 'RoutePlan sum',
          wgsl: sumWgsl,
          bindings: ['read', 'read', 'write', 'write', 'write', 'write', 'write'],
        },
        buffers: [
          'counts',
          'sequenceChunks',
          'firsts',
          'bucketStarts',
          'bucketLengths',
          'groupStarts',
          'groupLengths',
        ],
        uniforms: [sequences, chunks, memories].map(u32),
        workgroups: [1],
      },
      {
        kernel: {
          name: 'RoutePlan place',
          wgsl: placeText,
          bindings: ['read', 'read', 'read', 'read', 'write', 'write', 'write', 'write'],
          constants: { memories },
        },
        buffers: [
          'choices',
          'rowSequence',
          'chunks',
          'firsts',
          'source',
          'position',
          'rowBucket',
          'rowGroup',
        ],
        uniforms: sizes,
        workgroups,
      },
    ],
  };
});
