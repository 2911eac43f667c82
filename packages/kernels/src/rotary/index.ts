// Rotary position encoding, the half-split form that fla and Llama use.
import {
  checkConfig,
  checkShapes,
  defineOp,
  MnemixError,
  stopGradient,
  type Op,
  type Tensor,
} from '@mnemix/tensor';
import * as gpu from './gpu.ts';
import * as host from './host.ts';
import * as portable from './portable.ts';

// The op is its own gradient, hence the written-out type.
const rotaryOp: Op<portable.Inputs, { y: Tensor }, portable.Attrs> = defineOp({
  name: 'Rotary',
  outputs: ['y'],
  portable: portable.forward,
  kernels: { ...host.forward, ...gpu.forward },
  gradient: ({ inputs: { positions }, grads, attrs }) => ({
    x: rotaryOp({ x: grads.y, positions }, { ...attrs, inverse: !attrs.inverse }).y,
  }),
});

export interface RotaryOptions {
  /** b. Default 10000. */
  readonly base?: number;
}

/**
 * Rotary position encoding (Su et al. 2021): turns the pair (x_i, x_{i+D/2}) of each head by the angle
 * position·b^{−2i/D}. The gradient is the rotation back; positions are constants to it.
 *
 * @param inputs.x [N, H, D], D even
 * @param inputs.positions [N] float32, in tokens; on WebGPU the angles are right to 1e-5 up to 2^16
 * @returns [N, H, D]
 * @throws MnemixError `shape`; `config` for a base that is not positive
 */
export function rotary(
  { x, positions }: { x: Tensor; positions: Tensor },
  { base = 10000 }: RotaryOptions = {},
): Tensor {
  checkShapes('rotary', { x: [x, ['N', 'H', 'D']], positions: [positions, ['N']] });
  const width = x.shape[2] as number;
  if (width % 2 !== 0) {
    throw new MnemixError({
      code: 'shape',
      where: 'rotary(x)',
      message: `heads ${width} wide do not split into pairs.`,
      fix: 'Make the width of the heads even.',
      detail: { found: x.shape },
    });
  }
  checkConfig(base > 0, 'rotary(base)', `${base} is no base.`, 'Choose a positive number, such as 10000.');
  return rotaryOp({ x, positions: stopGradient(positions) }, { base, inverse: false }).y;
}
