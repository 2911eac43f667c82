// @mnemix/bmojo: eidetic and fading memory beside a window, over any mixer.
export { openArchive, type Archive } from './archive.ts';
export type { ArchiveOptions } from './archive-options.ts';
export type { ArchiveReport, ArchiveReportKind } from './archived-stream.ts';
export * from './bmojo.ts';
export type { BmojoConfig, EideticConfig, FadingTokensConfig } from './config.ts';
export type { EideticState } from './eidetic.ts';
export type { HeldTokens } from './fading-tokens.ts';
export * from './policy.ts';
export type { BmojoParams } from './projections.ts';
export { detach, type BmojoState, type KeyValues, type RecalledState } from './state.ts';
export { memoryStore, type MemoryStore } from './store.ts';
