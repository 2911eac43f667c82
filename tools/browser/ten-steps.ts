// Ten steps of training, the same in Node and in a browser: whoever runs it compares the losses.
import { matMul, mean, mul, openBackend, Rng, square, sub, valueAndGrad } from '@mnemix/tensor';
import type { BackendOptions, Scalar, Tensor } from '@mnemix/tensor';

export type TrainedOn = 'wasm' | 'webgpu-software';

/**
 * Trains on a backend.
 *
 * @param options where a browser finds the WASM files
 * @returns the loss of each of ten steps
 */
export async function run(backend: TrainedOn, options?: BackendOptions): Promise<number[]> {
  await openBackend(backend, options);
  const rng = Rng.of(1);
  const x = rng.fold('x').normal([16, 8]);
  const target = rng.fold('target').normal([16, 4]);
  let params: { weight: Tensor } = { weight: rng.fold('weight').normal([8, 4]) };
  const step = valueAndGrad(({ weight }: { weight: Tensor }) => ({
    value: mean(square(sub(matMul(x, weight), target))) as Scalar,
  }));
  const losses: number[] = [];
  for (let i = 0; i < 10; i += 1) {
    const { value, grads } = step(params);
    losses.push((await value.data())[0] ?? Number.NaN);
    params = { weight: sub(params.weight, mul(grads.weight, 0.5)) };
  }
  return losses;
}
