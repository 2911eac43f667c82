// Mixers in a line: what a sweep calls them, and the configuration that this stands for at a size.
//
//   gated_delta_net              a cell of the catalogue
//   mom gla                      Mixture-of-Memories over it
//   window, attention            softmax attention, sliding and whole
//   convolution                  the gated short convolution
//   bmojo-f gla, bmojo mom gla   B'MOJO that fades into a cell or a mixture of it; `bmojo` has eidetic slots too
//   convolution, window          one after the other, repeated over the blocks
//   *, mom *                     each cell of the catalogue
import { cellEntry, cells, type CellName } from '@mnemix/cells';
import { cellBlock, type CellConfig, type LmConfig, type MixerConfig, type MomMixerConfig } from '@mnemix/lm';
import { checkConfig } from '@mnemix/tensor';
import { recallOptions } from '../recall-options.ts';
import type { ModelSizes } from './schema.ts';

interface Memory {
  readonly kind: 'cell' | 'mom';
  readonly cell: CellName;
}

/** One mixer, read. */
export type MixerTerm =
  | Memory
  | { readonly kind: 'window' | 'attention' | 'convolution' }
  | { readonly kind: 'bmojo' | 'bmojo-f'; readonly fading: Memory };

const plainKinds = ['window', 'attention', 'convolution'] as const;

/** With `*` for the cell, as many lines as the catalogue has cells, each with what puts its cell into a name; else the line alone. */
export const eachCell = (
  line: string,
  except: readonly string[] = [],
): readonly { readonly line: string; readonly named: (name: string) => string }[] =>
  line.includes('*')
    ? Object.keys(cells)
        .filter((cell) => !except.includes(cell))
        .map((cell) => ({
          line: line.replaceAll('*', cell),
          named: (name) => name.replaceAll('*', cell),
        }))
    : [{ line, named: (name) => name }];

/**
 * Reads a line.
 *
 * @throws MnemixError `config` where a word stands for nothing
 */
export const parseMixer = (text: string): readonly MixerTerm[] =>
  text.split(',').map((term) => parseTerm(term.trim().split(/\s+/), text));

function parseTerm(words: readonly string[], text: string): MixerTerm {
  const [first = '', ...rest] = words;
  const plain = plainKinds.find((kind) => kind === first);
  if (plain && rest.length === 0) return { kind: plain };
  const isBmojo = first === 'bmojo' || first === 'bmojo-f';
  const memory = isBmojo ? rest : words;
  const [kind, name = ''] =
    memory[0] === 'mom' ? (['mom', memory[1]] as const) : (['cell', memory[0]] as const);
  checkConfig(
    Object.hasOwn(cells, name) && memory.length === (kind === 'mom' ? 2 : 1),
    'mixer',
    `"${text}" stands for nothing.`,
    `Write a cell, "mom <cell>", "bmojo <cell>", "bmojo-f <cell>", ${plainKinds.join(', ')}, or several after commas; ` +
      `cells are ${Object.keys(cells).join(', ')}.`,
  );
  const read: Memory = { kind, cell: name as CellName };
  return isBmojo ? { kind: first, fading: read } : read;
}

/** The first cell in it: it decides on the block around the mixers, and on the learning rate. */
export const cellOf = (terms: readonly MixerTerm[]): CellName | undefined =>
  terms.flatMap((term) => ('cell' in term ? [term.cell] : 'fading' in term ? [term.fading.cell] : []))[0];

/**
 * The model that has these mixers in its blocks.
 *
 * @param cellOptions for every cell, beside those that `recall-options.ts` gives it
 * @throws MnemixError `config` where the size lacks what a mixer needs; what the sizes make impossible is `createLm`'s to refuse
 */
export function modelOf(
  terms: readonly MixerTerm[],
  sizes: ModelSizes,
  vocabSize: number,
  cellOptions: Readonly<Record<string, unknown>> = {},
): LmConfig {
  const { layers, mlp, tieEmbeddings } = sizes;
  const cell = cellOf(terms);
  const mixers = terms.map((term) => mixerConfig(term, sizes, cellOptions));
  return {
    vocabSize,
    width: needed(sizes, 'width'),
    layers,
    mixer: mixers.length === 1 ? (mixers[0] as MixerConfig) : mixers,
    ...(cell ? cellBlock(cell, mlp) : { mlp: mlp > 0 ? { hidden: mlp } : null }),
    ...(tieEmbeddings ? { tieEmbeddings } : {}),
  };
}

function mixerConfig(
  term: MixerTerm,
  sizes: ModelSizes,
  cellOptions: Readonly<Record<string, unknown>>,
): MixerConfig {
  const { heads, attentionHeads = heads } = sizes;
  switch (term.kind) {
    case 'cell':
    case 'mom':
      return memoryConfig(term, sizes, cellOptions);
    case 'convolution':
      return { type: 'convolution' };
    case 'attention':
      return { type: 'attention', heads: attentionHeads };
    case 'window':
      return { type: 'attention', heads: attentionHeads, window: needed(sizes, 'window') };
    default:
      return {
        type: 'bmojo',
        heads: attentionHeads,
        window: needed(sizes, 'window'),
        fading: memoryConfig(term.fading, sizes, cellOptions),
        ...(term.kind === 'bmojo'
          ? { eidetic: { slots: needed(sizes, 'slots'), policy: { type: sizes.policy } } }
          : {}),
      };
  }
}

function memoryConfig(
  { kind, cell }: Memory,
  sizes: ModelSizes,
  cellOptions: Readonly<Record<string, unknown>>,
): CellConfig | MomMixerConfig {
  const { heads, memories, topK, shared } = sizes;
  const width = needed(sizes, 'width');
  const { keyWidth = width / heads, valueWidth = keyWidth } = sizes;
  const { width: _, ...widths } = cellEntry('mixer', cell).ofSizes({ width, heads, keyWidth, valueWidth });
  const config = { type: cell, ...widths, ...recallOptions[cell]?.cell, ...cellOptions } as CellConfig;
  return kind === 'mom' ? { type: 'mom', cell: config, memories, topK, shared } : config;
}

function needed(sizes: ModelSizes, key: 'width' | 'window' | 'slots'): number {
  const value = sizes[key];
  checkConfig(value !== undefined, key, 'the size does not say it.', `Add ${key} to it, or to "model".`);
  return value;
}
