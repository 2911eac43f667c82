// L2 normalisation on WebGPU: RMSNorm's kernels with a sum of squares in place of their mean.
import { gpuKernel } from '../gpu/bridge.ts';
import { scaleBackward, scaleForward } from '../rms-norm/gpu.ts';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs: { eps } }) =>
  scaleForward({ shape: shapes.x, divisor: 1, eps, isWeighted: false }),
);

export const backward = gpuKernel<BackwardInputs, Attrs>(({ shapes, attrs: { eps }, device }) => {
  const plan = scaleBackward({ shape: shapes.x, divisor: 1, eps, isWeighted: false }, device);
  return plan && { ...plan, outputs: { dx: { shape: shapes.x } } };
});
