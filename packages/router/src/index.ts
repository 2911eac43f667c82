// @mnemix/router: from scores to memories, and the losses that keep the load even.
export * from './losses.ts';
export * from './route.ts';
