import { openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, expect, it } from 'vitest';
import { standardGroups } from '../src/index.ts';

beforeAll(async () => {
  await openBackend('cpu');
});

const isExempt = (path: string, shape: number[], options = {}) =>
  standardGroups(options).some((group) => group.weightDecay === 0 && group.match(path, zeros(shape)));

it.each<[path: string, shape: number[]]>([
  ['model.layers.0.attn.A_log', [4]],
  ['model.layers.0.attn.dt_bias', [4]],
  ['model.layers.0.attn.L', [4, 13]],
  ['model.lower_bounds', [2, 8]],
  ['model.layers.0.attn_norm.weight', [64]],
  ['model.layers.0.attn.o_norm.weight', [16]],
  ['model.norm.weight', [64]],
  ['norm.weight', [2, 64]],
  ['attn.q_proj.bias', [64]],
  ['attn.k_proj.bias', [4, 64]],
  ['attn.D', [8]],
])('weight decay spares %s', (path, shape) => {
  expect(isExempt(path, shape)).toBe(true);
});

it.each<[path: string, shape: number[]]>([
  ['model.layers.0.attn.q_proj.weight', [64, 64]],
  ['model.layers.0.attn.q_conv1d.weight', [64, 1, 4]],
  ['model.layers.0.mlp.down_proj.weight', [64, 128]],
  ['model.embeddings.weight', [100, 64]],
  ['lm_head.weight', [100, 64]],
  ['bias_proj.weight', [4, 4]],
])('weight decay takes %s', (path, shape) => {
  expect(isExempt(path, shape)).toBe(false);
});

it('spares embeddings where asked to', () => {
  expect(isExempt('model.embeddings.weight', [100, 64], { decayEmbeddings: false })).toBe(true);
  expect(isExempt('lm_head.weight', [100, 64], { decayEmbeddings: false })).toBe(false);
});
