// L2 normalisation on WebGPU: RMSNorm's kernels with a sum of squares in place of their mean.
import { gpuKernel } from '../gpu/bridge.ts';
import { scaleBackward, scaleForward, type Scaling } from '../rms-norm/gpu.ts';
import type { Attrs, BackwardInputs, Inputs, PairBackwardInputs, PairInputs } from './portable.ts';

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs: { eps } }) =>
  scaleForward({ shape: shapes.x, divisor: 1, eps, isWeighted: false }),
);

export const backward = gpuKernel<BackwardInputs, Attrs>(({ shapes, attrs: { eps } }) => ({
  ...scaleBackward({ shape: shapes.x, divisor: 1, eps, isWeighted: false }),
  outputs: { dx: { shape: shapes.x } },
}));

/** As rows of both, one behind the other. */
const scalingOfTwo = ([rows = 0, width = 0]: readonly number[], eps: number): Scaling => ({
  shape: [2 * rows, width],
  divisor: 1,
  eps,
  isWeighted: false,
  kind: 'two',
});

export const pairForward = gpuKernel<PairInputs, Attrs>(({ shapes: { x: shape }, attrs: { eps } }) => ({
  ...scaleForward(scalingOfTwo(shape, eps)),
  outputs: { y: { shape }, yOfZ: { shape } },
}));

export const pairBackward = gpuKernel<PairBackwardInputs, Attrs>(
  ({ shapes: { x: shape }, attrs: { eps } }) => ({
    ...scaleBackward(scalingOfTwo(shape, eps)),
    outputs: { dx: { shape }, dz: { shape } },
  }),
);
