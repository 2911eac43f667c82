// The gated MLP of most blocks (Shazeer 2020): down( silu(gate(x)) ⊙ up(x) ).
import { swiGluOfMaps } from '@mnemix/kernels';
import {
  checkShapes,
  countElements,
  reshape,
  tidy,
  type Rng,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { initNormal, linear, type LinearParams } from './linear.ts';
import { stepByForward, type Mixer } from './mixer.ts';

export interface SwiGluMlpParams {
  readonly gate_proj: LinearParams;
  readonly up_proj: LinearParams;
  readonly down_proj: LinearParams;
  readonly [name: string]: LinearParams;
}

/** fla's hidden width: two thirds of ratio·d, rounded up to a multiple of 256. */
export const swiGluWidth = (width: number, ratio: number): number =>
  256 * Math.ceil(Math.floor((width * ratio * 2) / 3) / 256);

export const initSwiGluMlp = (
  rng: Rng,
  width: number,
  hidden: number,
  deviation = 0.02,
): SwiGluMlpParams => ({
  gate_proj: initNormal(rng.fold('gate_proj'), width, hidden, deviation),
  up_proj: initNormal(rng.fold('up_proj'), width, hidden, deviation),
  down_proj: initNormal(rng.fold('down_proj'), hidden, width, deviation),
});

/** x [N,d] → [N,d]. */
export const swiGluMlp = ({ gate_proj, up_proj, down_proj }: SwiGluMlpParams, x: Tensor2D): Tensor2D =>
  linear(swiGluOfMaps(x, { gate: gate_proj, up: up_proj }), down_proj);

/** The MLP as a branch of a residual block: a mixer that looks at each token alone, and remembers nothing. */
export function swiGluMixer({
  width,
  hidden,
  deviation = 0.02,
}: {
  /** Model width d. */
  readonly width: number;
  readonly hidden: number;
  /** Standard deviation of the weights at the start. Default 0.02. */
  readonly deviation?: number;
}): Mixer<SwiGluMlpParams, Record<never, never>> {
  const forward: Mixer<SwiGluMlpParams, Record<never, never>>['forward'] = (params, x) => {
    const { B: batch = 0, T: tokens = 0 } = checkShapes('swiGlu.forward', { x: [x, ['B', 'T', width]] });
    return tidy(() => {
      const rows = reshape(x, [batch * tokens, width]) as Tensor2D;
      const y = reshape(swiGluMlp(params, rows), x.shape) as Tensor3D;
      return { y, state: {}, aux: {} } as never;
    });
  };
  return {
    name: 'swi_glu',
    config: { width, hidden, deviation },
    width,
    init: (rng) => initSwiGluMlp(rng, width, hidden, deviation),
    initialState: () => ({}),
    forward,
    step: stepByForward(forward),
    stateBytes: () => 0,
    activatedParameters: countElements,
  };
}
