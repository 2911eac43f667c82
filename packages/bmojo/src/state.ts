// What a B'MOJO layer carries from pass to pass: only the parts that its configuration has, each as long as somebody looks back.
import { checkState, zeroState, type State, type StateShape } from '@mnemix/layers';
import {
  mapTree,
  MnemixError,
  stopGradient,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import type { CheckedConfig } from './config.ts';
import { emptySlots, type EideticState } from './eidetic.ts';
import type { HeldTokens } from './fading-tokens.ts';

/** Keys and values of tokens, the newest last, [S, length, kvH·D]; keys as already rotated. */
export interface KeyValues {
  readonly keys: Tensor3D;
  readonly values: Tensor3D;
  readonly [name: string]: Tensor3D;
}

/** Slots that an archive fills: as those of the eidetic memory, without ranks. */
export interface RecalledState {
  /** [S, recalled·(span+1), kvH·D] */
  readonly keys: Tensor3D;
  readonly values: Tensor3D;
  /** [S, recalled]; −1 where a slot is empty. */
  readonly positions: Tensor2D;
  readonly [name: string]: Tensor;
}

export interface BmojoState {
  /** Tokens seen, [S]. */
  readonly position: Tensor1D;
  readonly fading?: State;
  /** The last tokens, as the window shows them. */
  readonly window?: KeyValues;
  /** The last outputs of the fading memory, as keys and values. */
  readonly fadingWindow?: KeyValues;
  /** The last outputs of the fading memory, [S, length, d]. */
  readonly outputs?: Tensor3D;
  /** The fading tokens of the current chunk. */
  readonly fadingTokens?: HeldTokens;
  /** Chosen among all tokens before the current chunk. */
  readonly eidetic?: EideticState;
  /** Ranks of the last w tokens, [S, w]. */
  readonly ranks?: Tensor2D;
  readonly recalled?: RecalledState;
  readonly [name: string]: State;
}

/** How many tokens the state holds of each kind; 0 for none. */
export interface HistoryLengths {
  readonly window: number;
  readonly fadingWindow: number;
  readonly outputs: number;
  readonly ranks: number;
}

export function historyLengths(config: CheckedConfig): HistoryLengths {
  const { window, inContext, fadingTokens: tokens, eidetic } = config;
  // When a chunk has ended, its tokens are candidates for the slots; so are those that a span reaches back to.
  const candidates =
    eidetic === undefined ? 0 : eidetic.refresh === 'chunk' ? window + eidetic.span : eidetic.span;
  const ofPayload = (payload: 'input' | 'output'): number => (eidetic?.payload === payload ? candidates : 0);
  const recent = { tail: tokens?.count ?? 0, chunkEnds: 1, offsetWindow: 0, current: 0, none: 0 };
  return {
    window: Math.max(inContext ? window - 1 : 0, ofPayload('input')),
    fadingWindow: Math.max(tokens?.source === 'offsetWindow' ? 2 * window - 1 : 0, ofPayload('output')),
    outputs: Math.max(tokens ? recent[tokens.source] : 0, eidetic?.policy.outputsBefore ?? 0),
    ranks: eidetic?.refresh === 'chunk' ? window : 0,
  };
}

/**
 * The shape of the state without that of the fading memory.
 *
 * @param slots of the eidetic memory; as configured unless given
 */
export function stateShape(
  config: CheckedConfig,
  sequences: number,
  slots = config.eidetic?.slots,
): StateShape {
  const { kvHeads, headWidth, width, fadingTokens: tokens, eidetic } = config;
  const lengths = historyLengths(config);
  const keyValues = (length: number): StateShape => ({
    keys: [sequences, length, kvHeads * headWidth],
    values: [sequences, length, kvHeads * headWidth],
  });
  const slotted = (count: number): StateShape => ({
    ...keyValues(count * ((eidetic?.span ?? 0) + 1)),
    positions: [sequences, count],
  });
  const isOfChunks = tokens?.source === 'tail' || tokens?.source === 'chunkEnds';
  return {
    position: [sequences],
    ...(lengths.window > 0 ? { window: keyValues(lengths.window) } : {}),
    ...(lengths.fadingWindow > 0 ? { fadingWindow: keyValues(lengths.fadingWindow) } : {}),
    ...(lengths.outputs > 0 ? { outputs: [sequences, lengths.outputs, width] } : {}),
    ...(isOfChunks ? { fadingTokens: keyValues(tokens.count) } : {}),
    ...(slots === undefined ? {} : { eidetic: { ...slotted(slots), scores: [sequences, slots] } }),
    ...(lengths.ranks > 0 ? { ranks: [sequences, lengths.ranks] } : {}),
    ...(eidetic && eidetic.recalled > 0 ? { recalled: slotted(eidetic.recalled) } : {}),
  };
}

/** Nothing seen yet. */
export function initialState(config: CheckedConfig, sequences: number): BmojoState {
  const { eidetic, fading } = config;
  return {
    ...zeroState<BmojoState>(stateShape(config, sequences)),
    ...(eidetic ? { eidetic: emptyEidetic(config, sequences) } : {}),
    ...(eidetic && eidetic.recalled > 0 ? { recalled: emptyRecalled(config, sequences) } : {}),
    ...(fading ? { fading: fading.initialState(sequences) } : {}),
  };
}

const slotSizes = ({ eidetic, kvHeads, headWidth }: CheckedConfig, slots: number) => ({
  slots,
  span: eidetic?.span ?? 0,
  keySize: kvHeads * headWidth,
});

export const emptyEidetic = (config: CheckedConfig, sequences: number): EideticState =>
  emptySlots(sequences, slotSizes(config, config.eidetic?.slots ?? 0));

export function emptyRecalled(config: CheckedConfig, sequences: number): RecalledState {
  const { scores: _, ...slots } = emptySlots(sequences, slotSizes(config, config.eidetic?.recalled ?? 0));
  return slots;
}

/**
 * The fading memory checks its own part. There may be another number of slots than the configuration has.
 *
 * @throws MnemixError `state`
 */
export function checkBmojoState(config: CheckedConfig, state: BmojoState, sequences: number): void {
  const where = 'bmojo.forward';
  const { fading, ...own } = state;
  const slots = config.eidetic && (own.eidetic?.positions?.shape[1] ?? config.eidetic.slots);
  checkState(where, own, stateShape(config, sequences, slots));
  if ((fading === undefined) === (config.fading === undefined)) return;
  throw new MnemixError({
    code: 'state',
    where: `${where}(state)`,
    message: `fading is ${config.fading ? 'missing' : 'unknown'}.`,
    fix: 'Pass a state that this mixer returned for the same number of sequences, or initialState(sequences).',
  });
}

/**
 * The same state, through which no gradient flows: for training over long documents segment by segment. Without it, a gradient goes
 * back through all passes that are differentiated together.
 */
export const detach = <S extends State>(state: S): S => mapTree(state, (leaf) => stopGradient(leaf));
