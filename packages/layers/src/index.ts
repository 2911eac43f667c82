// @mnemix/layers: the contracts Mixer and MemoryCell, and the layers that they are built of.
export * from './channel-mix.ts';
export * from './convolution.ts';
export * from './gated-convolution.ts';
export * from './linear.ts';
export * from './memory-cell.ts';
export * from './mixer.ts';
export * from './orthogonal.ts';
export * from './rotary.ts';
export * from './softmax-attention.ts';
export * from './state.ts';
export * from './swi-glu-mlp.ts';
export * from './token-shift.ts';
