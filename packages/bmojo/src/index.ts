// @mnemix/bmojo: eidetic and fading memory beside a window, over any mixer.
export * from './bmojo.ts';
export type { BmojoConfig, EideticConfig, FadingTokensConfig } from './config.ts';
export type { EideticState } from './eidetic.ts';
export type { HeldTokens } from './fading-tokens.ts';
export * from './policy.ts';
