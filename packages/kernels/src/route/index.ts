// The choice of memories on WebGPU: kernels for the router's op, whose definition stands below this package and knows no WGSL.
import { bringKernels, type Tensor } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import backwardWgsl from './backward.wgsl';
import forwardWgsl from './forward.wgsl';
import { rowLayout } from './row-layout.ts';

export * from './shared.ts';

type Inputs = { logits: Tensor };
type BackwardInputs = { choices: Tensor; weights: Tensor; dWeights: Tensor };

const forward = gpuKernel<Inputs, { topK: number }>(({ shapes, attrs: { topK } }) => {
  const [rows = 0, memories = 0] = shapes.logits;
  return {
    outputs: { choices: { shape: [rows, topK], dtype: 'int32' }, weights: { shape: [rows, topK] } },
    dispatches: [
      {
        kernel: { name: 'Route forward', wgsl: forwardWgsl, bindings: ['read', 'write', 'write'] },
        buffers: ['logits', 'choices', 'weights'],
        ...rowLayout(rows, memories, topK),
      },
    ],
  };
});

const backward = gpuKernel<BackwardInputs, { memories: number }>(({ shapes, attrs: { memories } }) => {
  const [rows = 0, chosen = 0] = shapes.choices;
  return {
    outputs: { dLogits: { shape: [rows, memories] } },
    dispatches: [
      {
        kernel: { name: 'Route backward', wgsl: backwardWgsl, bindings: ['read', 'read', 'read', 'write'] },
        buffers: ['choices', 'weights', 'dWeights', 'dLogits'],
        ...rowLayout(rows, memories, chosen),
      },
    ],
  };
});

bringKernels('Route', forward);
bringKernels('RouteBackward', backward);
