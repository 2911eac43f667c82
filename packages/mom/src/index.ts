// @mnemix/mom: the Mixture-of-Memories mixer over any memory cell.
export * from './mom.ts';
export type { MomParams } from './parameters.ts';
