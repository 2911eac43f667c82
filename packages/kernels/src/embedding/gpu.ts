// Embeddings on WebGPU. The gradient sorts the tokens by their rows: counted, given places, put there as they come, and then in
// order. Integer atomics give out the places, so that those vary; the order in which the tokens of a row are added does not.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32, type Access, type GpuDispatch } from '../gpu/kernel.ts';
import { MAX_GROUPS, packed, packGroups, packOf } from '../gpu/rows/index.ts';
import allotWgsl from './allot.wgsl';
import clearWgsl from './clear.wgsl';
import countWgsl from './count.wgsl';
import fillWgsl from './fill.wgsl';
import forwardWgsl from './forward.wgsl';
import type { BackwardAttrs, BackwardInputs, Inputs } from './portable.ts';
import rankWgsl from './rank.wgsl';
import sumWgsl from './sum.wgsl';

const forwardText = packed(forwardWgsl);
const clearText = packed(clearWgsl);
const sumText = packed(sumWgsl);

/** Packs of a row that a workgroup of sum.wgsl has. */
const TILE = 32;

export const forward = gpuKernel<Inputs, object>(({ shapes: { weight, ids } }) => {
  const [tokens = 0] = ids;
  const width = weight[1] as number;
  const pack = packOf(width);
  const packs = width / pack;
  return {
    outputs: { y: { shape: [tokens, width] } },
    dispatches: [
      {
        kernel: { name: 'Embedding forward', wgsl: forwardText[pack], bindings: ['read', 'read', 'write'] },
        buffers: ['weight', 'ids', 'y'],
        uniforms: [u32(tokens * packs), u32(packs)],
        workgroups: [packGroups(tokens * packs)],
      },
    ],
  };
});

export const backward = gpuKernel<BackwardInputs, BackwardAttrs>(({ shapes: { dy }, attrs: { rows } }) => {
  const [tokens = 0, width = 0] = dy;
  const pack = packOf(width);
  const packs = width / pack;
  const tiles = Math.ceil(packs / TILE);
  const numbers = (count: number) => ({ shape: [count], dtype: 'int32' }) as const;
  /** A stage of one invocation a token. */
  const stage = (name: string, wgsl: string, buffers: Readonly<Record<string, Access>>): GpuDispatch => ({
    kernel: { name: `Embedding ${name}`, wgsl, bindings: Object.values(buffers) },
    buffers: Object.keys(buffers),
    uniforms: [u32(tokens), u32(rows)],
    workgroups: [packGroups(tokens)],
  });
  return {
    outputs: { dWeight: { shape: [rows, width] } },
    scratch: {
      counts: numbers(rows),
      starts: numbers(rows),
      totals: numbers(2),
      used: numbers(Math.min(tokens, rows)),
      arrivals: numbers(tokens),
      arrived: numbers(tokens),
      ordered: numbers(tokens),
    },
    dispatches: [
      {
        kernel: { name: 'Embedding clear', wgsl: clearText[pack], bindings: ['write', 'write', 'write'] },
        buffers: ['counts', 'totals', 'dWeight'],
        uniforms: [u32(rows), u32(rows * packs)],
        workgroups: [packGroups(rows * packs)],
      },
      stage('count', countWgsl, { ids: 'read', counts: 'write', arrivals: 'write' }),
      stage('allot', allotWgsl, {
        ids: 'read',
        counts: 'read',
        arrivals: 'read',
        totals: 'write',
        starts: 'write',
        used: 'write',
      }),
      stage('fill', fillWgsl, { ids: 'read', starts: 'read', arrivals: 'read', arrived: 'write' }),
      stage('rank', rankWgsl, {
        ids: 'read',
        counts: 'read',
        starts: 'read',
        arrived: 'read',
        ordered: 'write',
      }),
      {
        kernel: {
          name: 'Embedding sum',
          wgsl: sumText[pack],
          bindings: ['read', 'read', 'read', 'read', 'read', 'read', 'write'],
        },
        buffers: ['totals', 'used', 'counts', 'starts', 'ordered', 'dy', 'dWeight'],
        uniforms: [u32(packs)],
        workgroups: [Math.min(MAX_GROUPS, tokens, rows), tiles],
      },
    ],
  };
});
