// @mnemix/cells: linear-attention memories, one file each.
export * from './catalogue.ts';
export * from './delta-net.ts';
export * from './feature-maps.ts';
export * from './gated-delta-net.ts';
export * from './gla.ts';
export * from './linear-attention.ts';
export * from './retnet.ts';
