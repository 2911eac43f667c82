// The plan on WebGPU: counts in chunks of rows, their prefix sums, and the places of the copies. The sums are a dispatch of their own
// only where there are many.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32, type GpuDispatch } from '../gpu/kernel.ts';
import { spread } from '../gpu/spread.ts';
import countWgsl from './count.wgsl';
import layoutWgsl from './layout.wgsl';
import masksWgsl from './masks.wgsl';
import placeWgsl from './place.wgsl';
import type { Attrs, Inputs } from './portable.ts';
import runningSumWgsl from './running-sum.wgsl';
import sumWgsl from './sum.wgsl';
import summedWgsl from './summed.wgsl';
import talliesWgsl from './tallies.wgsl';

const CHUNK_ROWS = 128;
/** Storage buffers of the last of two dispatches; three of them have 7 at most. */
const MOST_BUFFERS_OF_TWO = 10;
/** Counts that all workgroups together may read, each those of all chunks, to do without a dispatch of one workgroup. */
const FEW_READS = 2 ** 22;
/** What adding up takes of workgroup memory: for each memory, and for the running sums over its invocations. */
const TALLY_BYTES = 20;
const SUM_BYTES = 4 * CHUNK_ROWS;

const countText = [layoutWgsl, masksWgsl, countWgsl].join('\n');
const sumText = [layoutWgsl, runningSumWgsl, sumWgsl].join('\n');
const placeText = [layoutWgsl, masksWgsl, summedWgsl, placeWgsl].join('\n');
const sumAndPlaceText = [layoutWgsl, masksWgsl, runningSumWgsl, talliesWgsl, placeWgsl].join('\n');

const PLACE_BUFFERS = ['choices', 'table', 'source', 'position', 'rowBucket', 'rowGroup'];
const PLACE_BINDINGS = ['read', 'read', 'write', 'write', 'write', 'write'] as const;
/** The op has inputs of the names `starts` and `lengths`. */
const STARTS = ['bucketStarts', 'bucketLengths', 'groupStarts', 'groupLengths'];

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs, device: { limits } }) => {
  const { memories, isShared } = attrs;
  const [rows = 0, given = 0] = shapes.choices;
  const chosen = given + Number(isShared);
  const [sequences = 0] = shapes.starts;
  const maskBytes = (memories * CHUNK_ROWS) / 8;
  if (maskBytes > limits.maxComputeWorkgroupStorageSize) {
    return `${memories} memories are more than workgroup memory holds`;
  }
  // Each sequence ends in one chunk that need not be full.
  const chunks = Math.floor(rows / CHUNK_ROWS) + sequences;
  const counts = memories * chunks;
  const numbers = (...shape: number[]) => ({ shape, dtype: 'int32' }) as const;
  const common = {
    uniforms: [rows, sequences, chunks, chosen, given].map(u32),
    workgroups: spread(chunks),
  };
  const constants = { memories };
  const count: GpuDispatch = {
    kernel: {
      name: 'RoutePlan count',
      wgsl: countText,
      bindings: ['read', 'read', 'read', 'read', 'write', 'write'],
      constants,
    },
    buffers: ['choices', 'starts', 'lengths', 'rowSequence', 'table', 'position'],
    ...common,
  };
  const sum: GpuDispatch = {
    kernel: {
      name: 'RoutePlan sum',
      wgsl: sumText,
      bindings: ['read', 'write', 'write', 'write', 'write', 'write'],
      constants,
    },
    buffers: ['table', 'firsts', ...STARTS],
    ...common,
    workgroups: [1],
  };
  const place: GpuDispatch = {
    kernel: {
      name: 'RoutePlan place',
      wgsl: placeText,
      bindings: [...PLACE_BINDINGS, 'read'],
      constants,
    },
    buffers: [...PLACE_BUFFERS, 'firsts'],
    ...common,
  };
  const sumAndPlace: GpuDispatch = {
    kernel: {
      name: 'RoutePlan sum and place',
      wgsl: sumAndPlaceText,
      bindings: [...PLACE_BINDINGS, 'write', 'write', 'write', 'write'],
      constants,
    },
    buffers: [...PLACE_BUFFERS, ...STARTS],
    ...common,
  };
  const isTwo =
    counts * chunks <= FEW_READS &&
    maskBytes + TALLY_BYTES * memories + SUM_BYTES <= limits.maxComputeWorkgroupStorageSize &&
    MOST_BUFFERS_OF_TWO <= limits.maxStorageBuffersPerShaderStage;
  return {
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
      table: numbers(counts + sequences + 3 * chunks),
      ...(isTwo ? {} : { firsts: numbers(counts + 1) }),
    },
    dispatches: isTwo ? [count, sumAndPlace] : [count, sum, place],
  };
});
