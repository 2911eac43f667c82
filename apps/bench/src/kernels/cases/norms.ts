// Norms over the last axis.
import { rmsNorm, rmsNormGated } from '@mnemix/kernels';
import { tensor, type Tensor } from '@mnemix/tensor';
import { freeInputs, streamingCost, type CaseOptions, type KernelCase } from '../case.ts';
import { noise, sampledError } from '../data.ts';

const EPS = 1e-5;

export const normCases = ({ quick }: CaseOptions): readonly KernelCase[] => [
  normCase(quick ? [2, 9, 2, 16] : [8, 2048, 8, 128], true),
  normCase(quick ? [2, 9, 24] : [8, 2048, 1024], false),
];

function normCase(shape: readonly number[], isGated: boolean): KernelCase {
  const width = shape.at(-1) as number;
  const size = shape.reduce((a, b) => a * b, 1);
  return {
    family: 'norms',
    op: isGated ? 'gated RMSNorm' : 'RMSNorm',
    shape: shape.join('×'),
    precisions: ['float32'],
    isMain: isGated,
    prepare: () => {
      const [x, gate, weight] = [noise(1, size), noise(2, size), noise(3, width)];
      const inputs = {
        x: tensor(x, [...shape]),
        weight: tensor(weight, [width]),
        ...(isGated && { gate: tensor(gate, [...shape]) }),
      };
      const entry = (index: number): number => {
        const start = index - (index % width);
        let squares = 0;
        for (let i = start; i < start + width; i++) squares += (x[i] as number) ** 2;
        const z = gate[index] as number;
        const factor = isGated ? z / (1 + Math.exp(-z)) : 1;
        return (
          (factor * (x[index] as number) * (weight[index % width] as number)) /
          Math.sqrt(squares / width + EPS)
        );
      };
      return {
        inputs,
        run: (given) => {
          const [input, scale] = [given.x as Tensor, given.weight as Tensor];
          return isGated
            ? rmsNormGated({ x: input, gate: given.gate as Tensor, weight: scale }, { eps: EPS })
            : rmsNorm({ x: input, weight: scale }, { eps: EPS });
        },
        cost: streamingCost(inputs, size, (isGated ? 9 : 4) * size),
        errorOf: (found) => sampledError(found, entry),
        dispose: freeInputs(inputs),
      };
    },
  };
}
