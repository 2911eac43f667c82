// @mnemix/lm: language models from a plain configuration, their checkpoints, and generation with constant state.
export { cellBlock } from './block.ts';
export * from './checkpoint.ts';
export * from './config.ts';
export * from './fla/config.ts';
export * from './generate.ts';
export * from './model.ts';
export * from './pretrained.ts';
export * from './safetensors.ts';
export * from './sampling.ts';
export * from './saved-state.ts';
export * from './tokens.ts';
