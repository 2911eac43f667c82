// What the kernels are to reach, in milliseconds on an NVIDIA H200: forward, and forward with backward. The reference is fla's Triton
// in bfloat16 on that card (attention: PyTorch's fused one); its forward is GPU time, its forward with backward has launches in it.
import type { Precision } from '@mnemix/tensor';

type Pair = readonly [forward: number, training: number];

export interface Target {
  readonly reference: Pair;
  readonly float32: Pair;
  readonly mixed?: Pair;
}

const targets: Readonly<Record<string, Target>> = {
  'diagonal decay, none': { reference: [0.1, 1.35], float32: [0.6, 2.4], mixed: [0.25, 1.2] },
  'diagonal decay, scalar': { reference: [0.11, 1.45], float32: [0.7, 3], mixed: [0.3, 1.5] },
  'diagonal decay, vector': { reference: [0.37, 1.94], float32: [1.4, 5], mixed: [0.75, 2.4] },
  'delta rule, none': { reference: [0.31, 2.9], float32: [1.6, 6.5], mixed: [0.7, 3] },
  'delta rule, scalar': { reference: [0.26, Number.NaN], float32: [1.7, 7], mixed: [0.7, 3.2] },
  'delta rule, vector': { reference: [0.51, 3.05], float32: [2.2, 9], mixed: [1, 4] },
  'causal attention': { reference: [0.15, 0.62], float32: [1.5, 6], mixed: [0.6, 2.4] },
  'gated RMSNorm': { reference: [0.031, 0.089], float32: [0.08, 0.25] },
  'short convolution': { reference: [0.032, 0.175], float32: [0.08, 0.45] },
};

/** In TFLOP/s, for products of 4096 × 4096. */
export const productTargets = { float32: 35, mixed: 200 } as const;

/** How many times the least sequences' or memories' time the most may take: 2k to 64k tokens of as many in all, 4 to 64 memories. */
export const linearTargets = { tokens: 1.1, memories: 1.15 } as const;

export interface TargetTimes {
  /** Not finite where there is none. */
  readonly reference: number;
  readonly ours: number;
}

/** The target of an op at the main shape, if it has one. */
export function targetOf(
  op: string,
  precision: Precision,
  pass: 'forward' | 'training',
): TargetTimes | undefined {
  const target = targets[op];
  const ours = target?.[precision];
  if (!target || !ours) return undefined;
  const index = pass === 'forward' ? 0 : 1;
  return { reference: target.reference[index], ours: ours[index] };
}
