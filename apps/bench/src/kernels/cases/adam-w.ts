// AdamW over the parameters of a model of the usual sizes: matrices, and many small vectors.
import { adamWAll, globalNorms } from '@mnemix/kernels';
import { abs, disposeTree, reshape, tidy, type Tensor } from '@mnemix/tensor';
import { bytesOf, freeInputs, type CaseOptions, type Inputs, type KernelCase } from '../case.ts';
import { noise, noiseTensor, sampledError } from '../data.ts';

const SETTINGS = { learningRate: 1e-3, weightDecay: 0.01 } as const;
const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8];

export const adamWCases = ({ quick }: CaseOptions): readonly KernelCase[] => {
  const shapes: readonly (readonly number[])[] = quick
    ? [[9, 20], [20], [3]]
    : [
        ...Array.from({ length: 48 }, () => [1024, 1024]),
        ...Array.from({ length: 16 }, () => [2816, 1024]),
        ...Array.from({ length: 96 }, () => [1024]),
      ];
  const sizes = shapes.map((shape) => shape.reduce((a, b) => a * b, 1));
  const total = sizes.reduce((a, b) => a + b, 0);
  const millions = (total / 1e6).toFixed(quick ? 4 : 0);
  return [
    {
      family: 'adamW',
      op: 'AdamW and the norm of the gradient',
      shape: `${shapes.length} tensors, ${millions} M`,
      precisions: ['float32'],
      prepare: () => {
        const make = (seed: number): Inputs =>
          Object.fromEntries(shapes.map((shape, i) => [String(i), noiseTensor(seed + i, shape)]));
        const [params, grads, m] = [make(1), make(1001), make(2001)];
        // A running mean of squares is not negative.
        const v: Inputs = Object.fromEntries(
          shapes.map((shape, i) => [String(i), tidy(() => abs(noiseTensor(3001 + i, shape)))]),
        );
        const run = (): Tensor =>
          tidy(() => {
            const { norm } = globalNorms(shapes.map((_, i) => grads[i] as Tensor));
            const made = adamWAll(
              shapes.map((_, i) => ({
                param: params[i] as Tensor,
                grad: grads[i] as Tensor,
                m: m[i] as Tensor,
                v: v[i] as Tensor,
                ...SETTINGS,
              })),
              { step: 10 },
            );
            disposeTree([norm]);
            return reshape(made[0]?.param as Tensor, [sizes[0] as number]);
          });
        const [p, g, mean, square] = [1, 1001, 2001, 3001].map((seed) => noise(seed, sizes[0] as number)) as [
          Float32Array,
          Float32Array,
          Float32Array,
          Float32Array,
        ];
        return {
          inputs: {},
          run,
          cost: {
            forward: { flops: 14 * total, bytes: bytesOf(params, grads, grads, m, v) + bytesOf(3 * total) },
          },
          errorOf: (found) =>
            sampledError(found, (i) => {
              const grad = g[i] as number;
              const first = BETA1 * (mean[i] as number) + (1 - BETA1) * grad;
              const second = BETA2 * Math.abs(square[i] as number) + (1 - BETA2) * grad ** 2;
              const root = Math.sqrt(second / (1 - BETA2 ** 10)) + EPSILON;
              const step = (SETTINGS.learningRate * first) / (1 - BETA1 ** 10) / root;
              return (p[i] as number) * (1 - SETTINGS.learningRate * SETTINGS.weightDecay) - step;
            }),
          dispose: freeInputs(params, grads, m, v),
        };
      },
    },
  ];
};
