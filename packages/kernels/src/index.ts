// @mnemix/kernels: fused operations, each with a portable form, faster kernels, and one gradient.
export * from './sequences.ts';
export * from './diagonal-decay/index.ts';
export * from './delta-rule/index.ts';
export * from './short-conv/index.ts';
export * from './rms-norm/index.ts';
export * from './l2-norm/index.ts';
export * from './swi-glu/index.ts';
export * from './cross-entropy/index.ts';
export * from './log-decay-gate/index.ts';
export * from './grouped-linear/index.ts';
export * from './route-plan/index.ts';
export * from './route-mix/index.ts';
export * from './adam-w/index.ts';
export * from './rms-norm-gated/index.ts';
export * from './linear/index.ts';
