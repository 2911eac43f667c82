// The choice of memories and its balance on WebGPU: kernels for the router's ops, whose definitions stand below this package and know
// no WGSL.
import { bringKernels, type Tensor } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { u32 } from '../gpu/kernel.ts';
import backwardWgsl from './backward.wgsl';
import balanceBackwardWgsl from './balance-backward.wgsl';
import balanceTotalsWgsl from './balance-totals.wgsl';
import balanceWgsl from './balance.wgsl';
import forwardWgsl from './forward.wgsl';
import { layoutOf } from './layout.ts';
import softmaxWgsl from './softmax.wgsl';

type Inputs = { logits: Tensor };
type BackwardInputs = { choices: Tensor; weights: Tensor; dWeights: Tensor; dPassed: Tensor | undefined };

const forward = gpuKernel<Inputs, { topK: number }>(({ shapes, attrs: { topK } }) => {
  const [rows = 0, memories = 0] = shapes.logits;
  return {
    outputs: { choices: { shape: [rows, topK], dtype: 'int32' }, weights: { shape: [rows, topK] } },
    dispatches: [
      {
        kernel: { name: 'Route forward', wgsl: forwardWgsl, bindings: ['read', 'write', 'write'] },
        buffers: ['logits', 'choices', 'weights'],
        ...layoutOf(rows, memories, topK),
      },
    ],
  };
});

const backward = gpuKernel<BackwardInputs, { memories: number }>(({ shapes, attrs: { memories } }) => {
  const [rows = 0, chosen = 0] = shapes.choices;
  const isPassed = shapes.dPassed !== undefined;
  return {
    outputs: { dLogits: { shape: [rows, memories] } },
    dispatches: [
      {
        kernel: {
          name: 'Route backward',
          wgsl: backwardWgsl,
          bindings: ['read', 'read', 'read', 'read', 'write'],
          constants: { isPassed: Number(isPassed) },
        },
        // Something must be bound for what is not read.
        buffers: ['choices', 'weights', 'dWeights', isPassed ? 'dPassed' : 'dWeights', 'dLogits'],
        ...layoutOf(rows * memories, memories, chosen),
      },
    ],
  };
});

type BalanceInputs = { logits: Tensor; choices: Tensor; rowSequence: Tensor };
type SlopeInputs = { logits: Tensor; rowSequence: Tensor; load: Tensor; rowWeight: Tensor; dLoss: Tensor };

/** Rows of a part of the balance's sums at least, and parts at most. */
const PART_ROWS = 256;
const MOST_PARTS = 64;

const balanceText = [softmaxWgsl, balanceWgsl].join('\n');
const balanceBackwardText = [softmaxWgsl, balanceBackwardWgsl].join('\n');

const balance = gpuKernel<BalanceInputs, object>(({ shapes, device: { limits } }) => {
  const [rows = 0, memories = 0] = shapes.logits;
  const [, chosen = 0] = shapes.choices;
  if (memories > limits.maxComputeWorkgroupsPerDimension) return undefined;
  const parts = Math.min(MOST_PARTS, Math.ceil(rows / PART_ROWS));
  const scalar = { shape: [] };
  return {
    outputs: { loss: scalar, load: { shape: [memories] }, rowWeight: scalar },
    scratch: { partials: { shape: [parts, memories, 4] } },
    dispatches: [
      {
        kernel: {
          name: 'RouteBalance sums',
          wgsl: balanceText,
          bindings: ['read', 'read', 'read', 'write'],
        },
        buffers: ['logits', 'choices', 'rowSequence', 'partials'],
        uniforms: [rows, memories, chosen].map(u32),
        workgroups: [memories, parts],
      },
      {
        kernel: {
          name: 'RouteBalance totals',
          wgsl: balanceTotalsWgsl,
          bindings: ['read', 'write', 'write', 'write'],
        },
        buffers: ['partials', 'loss', 'load', 'rowWeight'],
        uniforms: [memories, chosen, parts].map(u32),
        workgroups: [1],
      },
    ],
  };
});

const balanceBackward = gpuKernel<SlopeInputs, { topK: number }>(({ shapes, attrs: { topK } }) => {
  const [rows = 0, memories = 0] = shapes.logits;
  return {
    outputs: { dLogits: { shape: shapes.logits } },
    dispatches: [
      {
        kernel: {
          name: 'RouteBalance backward',
          wgsl: balanceBackwardText,
          bindings: ['read', 'read', 'read', 'read', 'read', 'write'],
        },
        buffers: ['logits', 'rowSequence', 'load', 'rowWeight', 'dLoss', 'dLogits'],
        ...layoutOf(rows, memories, topK),
      },
    ],
  };
});

bringKernels('Route', forward);
bringKernels('RouteBackward', backward);
bringKernels('RouteBalance', balance);
bringKernels('RouteBalanceBackward', balanceBackward);
