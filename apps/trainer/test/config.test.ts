import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cells, type CellName } from '@mnemix/cells';
import { describe, expect, it } from 'vitest';
import { collectSets, settingsOf } from '../src/commands/key-flags.ts';
import type { Config, ConfigInput } from '../src/config.ts';
import { UsageError, type Fault } from '../src/errors.ts';
import { mainName, planJob } from '../src/plan-job.ts';
import { presets } from '../src/presets/index.ts';
import { checkConfig, resolveConfig } from '../src/resolve-config.ts';
import { temporaryFolder } from './folder.ts';

function faultsOf(f: () => unknown): readonly Fault[] {
  try {
    f();
  } catch (error) {
    if (error instanceof UsageError) return error.faults;
    throw error;
  }
  return [];
}

const recall: ConfigInput = { task: { kind: 'recall' } };
const withModel = (model: ConfigInput['model']): ConfigInput => ({ ...recall, model });

describe('a configuration', () => {
  it.each(Object.keys(presets))('of the preset %s is valid', (name) => {
    expect(resolveConfig(name).name).toBe(name);
  });

  it('is read from a JSON file with comments and trailing commas', () => {
    const path = join(temporaryFolder(), 'config.jsonc');
    writeFileSync(
      path,
      '{\n  // two layers\n  "task": { "kind": "recall", "pairs": 3, },\n  "model": { "layers": 2 },\n}\n',
    );
    expect(resolveConfig(path)).toMatchObject({ task: { pairs: 3, tokens: 32 }, model: { layers: 2 } });
  });

  it('is overridden by flags, key by key', () => {
    const options = { cell: 'gla', topK: '1', lr: '1e-3', file: undefined };
    const sets = collectSets('task.fill=blank', collectSets('model.width=48', []));
    const config = resolveConfig('recall', [...settingsOf(options), ...sets]);
    expect(config).toMatchObject({
      task: { fill: 'blank' },
      model: { cell: 'gla', topK: 1, width: 48, memories: 4 },
      optimizer: { learningRate: 1e-3 },
    });
  });

  it('forgets the options of a cell where a flag swaps the cell', () => {
    const path = join(temporaryFolder(), 'decay.json');
    const model = { cell: 'gated_delta_net', cellOptions: { initialDecay: 1 } };
    const beside = { b: { model: { cellOptions: { initialDecay: 2 } } } };
    writeFileSync(path, JSON.stringify({ ...recall, model, beside }));
    expect(resolveConfig(path).model.cellOptions).toEqual({ initialDecay: 1 });
    const swapped = resolveConfig(path, settingsOf({ cell: 'gla' }));
    expect([swapped.model.cellOptions, swapped.beside['b']?.model?.cellOptions]).toEqual([{}, undefined]);
    const explicit = collectSets('model.cellOptions.convolution=4');
    const again = resolveConfig(path, [...settingsOf({ cell: 'gla' }), ...explicit]);
    expect(again.model.cellOptions).toEqual({ convolution: 4 });
  });

  it('does not hand the options of a cell down to another cell beside it', () => {
    const config = checkConfig({
      ...recall,
      model: { cellOptions: { initialDecay: 1 } },
      beside: { gla: { model: { cell: 'gla' } }, wide: { model: { width: 32 } } },
    });
    const [, gla, wide] = planJob('job', config).map((run) => run.config.model.cellOptions);
    expect([gla, wide]).toEqual([{}, { initialDecay: 1 }]);
  });

  it('refuses an option that the cell does not have, by the names of both', () => {
    const raw = withModel({ cell: 'gla', cellOptions: { initialDecay: 1 } });
    expect(faultsOf(() => checkConfig(raw))).toMatchObject([
      { where: 'model.cell', message: 'gla: initialDecay: unknown key.' },
    ]);
  });

  it('takes blocks, window and slots from flags', () => {
    const options = { pattern: 'memory,bmojo', window: '8', slots: '12' };
    expect(resolveConfig('recall', settingsOf(options)).model).toMatchObject({
      pattern: ['memory', 'bmojo'],
      attention: { window: 8 },
      bmojo: { window: 8, eidetic: { slots: 12 } },
    });
  });

  it('hands the options of blocks down to models beside, key by key, and eidetic whole', () => {
    const config = checkConfig({
      ...recall,
      model: {
        pattern: ['bmojo'],
        attention: { window: 8 },
        bmojo: { window: 8, fadingTokens: { count: 2 }, eidetic: { slots: 4 } },
      },
      beside: {
        fading: { model: { bmojo: { fadingTokens: { norm: false }, eidetic: null } } },
        alone: { model: { pattern: ['attention'], attention: { heads: 2 } } },
      },
    });
    const [, fading, alone] = planJob('job', config).map((run) => run.config.model);
    expect(fading?.bmojo).toEqual({ window: 8, fadingTokens: { count: 2, norm: false }, eidetic: null });
    expect(alone).toMatchObject({ attention: { window: 8, heads: 2 }, bmojo: { eidetic: { slots: 4 } } });
  });

  it.each<[name: string, model: ConfigInput['model']]>([
    ['mom', {}],
    ['gla', { cell: 'gla', memories: 1, topK: 1, shared: false }],
    ['attention', { pattern: ['attention'] }],
    ['bmojo', { pattern: ['bmojo'], bmojo: { eidetic: { slots: 4 } } }],
    ['bmojo-f', { pattern: ['bmojo'] }],
    ['hybrid', { pattern: ['memory', 'bmojo'] }],
  ])('calls its main model %s by what its blocks are', (name, model) => {
    expect(mainName(checkConfig(withModel(model)).model)).toBe(name);
  });

  it.each(Object.keys(cells) as CellName[])('of %s is checked before there is a device', (cell) => {
    const blocks = { pattern: ['memory', 'bmojo'], bmojo: { eidetic: { slots: 2 } } } as const;
    expect(faultsOf(() => checkConfig({ ...recall, model: { ...blocks, cell } }))).toEqual([]);
  });

  it('leaves the presets as they are', () => {
    const before = JSON.stringify(presets['recall']);
    resolveConfig('recall', settingsOf({ memories: '8' }));
    expect(JSON.stringify(presets['recall'])).toBe(before);
  });

  it('does not keep where its schema lies', () => {
    expect(checkConfig({ ...recall, $schema: '../schema.json' })).toEqual(checkConfig(recall));
  });

  it('survives being written and read again', () => {
    const config = resolveConfig('recall');
    expect(checkConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });
});

describe('a faulty configuration is refused, with the key and the fix:', () => {
  it.each<[name: string, raw: unknown, where: string, fix: RegExp]>([
    [
      'an unknown section',
      { ...recall, modell: {} },
      'modell',
      /one of: name, backend, threads, task, model/,
    ],
    ['an unknown key', withModel({ topk: 2 } as object), 'model.topk', /one of: .*topK/],
    ['an unknown key of a task', { task: { kind: 'recall', file: 'a' } }, 'task.file', /pairs(?!.*file)/],
    [
      'an unknown key in a list',
      { task: { kind: 'recall', mixture: [{ tokens: 8, pairs: 2, share: 1 }] } },
      'task.mixture.0.share',
      /one of: tokens, pairs, weight\./,
    ],
    [
      'an unknown key of a model beside',
      { ...recall, beside: { single: { model: { widht: 1 } } } },
      'beside.single.model.widht',
      /width/,
    ],
    ['a missing task', {}, 'task', /Add it/],
    ['an unknown task', { task: { kind: 'chess' } }, 'task.kind', /recall, text/],
    ['an unknown cell', withModel({ cell: 'lstm' } as object), 'model.cell', /gated_delta_net/],
    ['a word for a number', withModel({ width: 'wide' } as object), 'model.width', /type number/],
    ['a fraction for a count', withModel({ layers: 1.5 }), 'model.layers', /integer/],
    [
      'a negative learning rate',
      { ...recall, optimizer: { learningRate: -1 } },
      'optimizer.learningRate',
      /more than 0/,
    ],
    ['an accuracy above 1', { ...recall, training: { stopAt: 99 } }, 'training.stopAt', /at most 1/],
    ['topK > memories', withModel({ topK: 5 }), 'model.topK', /between 1 and 4/],
    [
      'topK > memories in a model beside',
      { ...recall, beside: { single: { model: { memories: 1 } } } },
      'beside.single.model.topK',
      /topK 1/,
    ],
    [
      'heads that do not divide the width',
      withModel({ width: 64, heads: 5 }),
      'model.heads',
      /divides the width/,
    ],
    [
      'a warm-up as long as the training',
      { ...recall, training: { steps: 10 }, optimizer: { warmupSteps: 10 } },
      'optimizer.warmupSteps',
      /shorter/,
    ],
    ['too many pairs', { task: { kind: 'recall', tokens: 16, pairs: 5 } }, 'task.pairs', /at most 4 pairs/],
    ['an odd length', { task: { kind: 'recall', tokens: 33 } }, 'task.tokens', /34/],
    [
      'too many pairs in a mixture',
      { task: { kind: 'recall', mixture: [{ tokens: 8, pairs: 3 }] } },
      'task.mixture.0.pairs',
      /at most 2 pairs/,
    ],
    ['too few symbols', { task: { kind: 'recall', tokens: 64, vocabSize: 64 } }, 'task.vocabSize', /65/],
    [
      'a task for a model beside',
      { ...recall, beside: { single: { task: { kind: 'text' } } } },
      'beside.single.task',
      /one of: model, optimizer, training, output\./,
    ],
    [
      'a warm-up as long as the training of a model beside',
      { ...recall, beside: { single: { training: { steps: 5 }, optimizer: { warmupSteps: 5 } } } },
      'beside.single.optimizer.warmupSteps',
      /shorter/,
    ],
    [
      'a model beside with the name of the main one',
      { ...recall, beside: { mom: {} } },
      'beside.mom',
      /another name/,
    ],
    ['a name that is a path', { ...recall, name: '../x' }, 'name', /accordingly/],
    [
      'an unknown kind of block',
      withModel({ pattern: ['memory', 'lstm'] } as object),
      'model.pattern.1',
      /memory, attention, bmojo/,
    ],
    ['a pattern of nothing', withModel({ pattern: [] }), 'model.pattern', /at least 1/],
    [
      'a pattern longer than the model',
      withModel({ pattern: ['memory', 'memory', 'attention'] }),
      'model.pattern',
      /more layers/,
    ],
    [
      "a window of nothing for B'MOJO",
      withModel({ bmojo: { window: 0 } }),
      'model.bmojo.window',
      /at least 1/,
    ],
    [
      'an unknown key of the eidetic memory',
      withModel({ bmojo: { eidetic: { slots: 2, polisy: {} } } } as object),
      'model.bmojo.eidetic.polisy',
      /one of: slots, policy,/,
    ],
    [
      'more fading tokens than a window has',
      withModel({ pattern: ['bmojo'], bmojo: { window: 4, fadingTokens: { count: 5 } } }),
      'model.bmojo.fadingTokens.count',
      /at most as many/,
    ],
    [
      'more fading tokens than a window has in a model beside',
      {
        ...recall,
        beside: { b: { model: { pattern: ['bmojo'], bmojo: { window: 4, fadingTokens: { count: 5 } } } } },
      },
      'beside.b.model.bmojo.fadingTokens.count',
      /at most as many/,
    ],
    [
      'slots that span more than the window',
      withModel({ pattern: ['bmojo'], bmojo: { window: 4, eidetic: { slots: 2, span: 4 } } }),
      'model.bmojo.eidetic.span',
      /window − 1/,
    ],
    [
      'an option of another policy',
      withModel({
        pattern: ['bmojo'],
        bmojo: { eidetic: { slots: 2, policy: { type: 'recency', taps: [1] } } },
      }),
      'model.bmojo.eidetic.policy.taps',
      /Use one of/,
    ],
    [
      'heads of keys that do not divide the heads',
      withModel({ pattern: ['attention'], attention: { heads: 4, kvHeads: 3 } }),
      'model.attention.kvHeads',
      /multiple of kvHeads/,
    ],
    [
      'heads of oblong memories for a cell whose heads are square',
      withModel({ cell: 'ttt_linear', keyWidth: 6, valueWidth: 16 }),
      'model.cell',
      /Square heads fit: --key-width 10 --value-width 10\.$/,
    ],
    [
      'the same in a model beside',
      {
        ...recall,
        model: { cell: 'ttt_linear', keyWidth: 16 },
        beside: { wide: { model: { valueWidth: 64 } } },
      },
      'beside.wide.model.cell',
      /--set beside\.wide\.model\.keyWidth=32 --set beside\.wide\.model\.valueWidth=32\.$/,
    ],
  ])('%s', (_, raw, where, fix) => {
    const faults = faultsOf(() => checkConfig(raw));
    expect(faults.map((fault) => fault.where)).toEqual([where]);
    expect(faults[0]?.fix).toMatch(fix);
  });

  it('all faults at once, contradictions included', () => {
    const raw = {
      task: { kind: 'recall', pears: 2 },
      model: { topK: 9, width: 'wide', heads: 3 },
      backend: 'tpu',
    };
    const faults = faultsOf(() => checkConfig(raw)).map((fault) => fault.where);
    // heads is not said not to divide the width: there is no width.
    expect(faults.sort()).toEqual(['backend', 'model.topK', 'model.width', 'task.pears']);
  });

  it("all faults at once, what B'MOJO refuses included", () => {
    const raw = {
      task: { kind: 'recall', pairs: 99 },
      model: { pattern: ['attention', 'bmojo'], bmojo: { window: 2, fadingTokens: { count: 3 } } },
      backend: 'tpu',
      beside: { b: { model: { attention: { heads: 5 } } } },
    };
    const faults = faultsOf(() => checkConfig(raw)).map((fault) => fault.where);
    expect(faults.sort()).toEqual([
      'backend',
      'beside.b.model.attention.headWidth',
      'model.bmojo.fadingTokens.count',
      'task.pairs',
    ]);
  });

  it('a flag by its name as well as by its key', () => {
    const faults = faultsOf(() => resolveConfig('recall', settingsOf({ topK: 'two', memories: '4' })));
    expect(faults).toMatchObject([{ where: 'model.topK (--top-k)' }]);
  });

  it('a name that is neither preset nor file', () => {
    expect(faultsOf(() => resolveConfig('recal'))).toMatchObject([
      { where: 'recal', fix: expect.stringContaining('presets: recall, bmojo') },
    ]);
  });

  it('a folder instead of a file', () => {
    const folder = join(temporaryFolder(), 'folder');
    mkdirSync(folder);
    expect(faultsOf(() => resolveConfig(folder))).toMatchObject([{ where: folder }]);
  });

  it('JSON that is not valid, with its line and column', () => {
    const path = join(temporaryFolder(), 'broken.json');
    writeFileSync(path, '{\n  "name": oops\n}\n');
    expect(faultsOf(() => resolveConfig(path))[0]?.where).toBe(`${path}:2:11`);
  });

  it('JSON that is no configuration', () => {
    const path = join(temporaryFolder(), 'list.json');
    writeFileSync(path, '[1, 2]');
    expect(faultsOf(() => resolveConfig(path))).toMatchObject([
      { where: path, message: 'holds no JSON object.' },
    ]);
  });

  it('a --set without a value', () => {
    expect(faultsOf(() => collectSets('model.width', []))).toMatchObject([{ where: '--set model.width' }]);
  });

  it('a --set that goes through a number', () => {
    const faults = faultsOf(() => resolveConfig('recall', collectSets('model.width.big=1', [])));
    expect(faults).toMatchObject([{ where: 'model.width.big (--set)' }]);
  });
});

describe('the runs of a job', () => {
  const folders = (config: Config): string[] => planJob('job', config).map(({ folder }) => folder);

  it('are one in the folder itself where there is one model and one seed', () => {
    expect(folders(checkConfig(recall))).toEqual(['job']);
  });

  it('have folders of their own otherwise, seed by seed', () => {
    const config = checkConfig({
      ...recall,
      beside: { single: { model: { memories: 1, topK: 1 }, optimizer: { learningRate: 0.02 } } },
      training: { seed: 3, seeds: 2 },
    });
    expect(folders(config)).toEqual([
      'job/mom-seed-3',
      'job/single-seed-3',
      'job/mom-seed-4',
      'job/single-seed-4',
    ]);
    expect(planJob('job', config)[3]?.config).toMatchObject({
      model: { memories: 1, width: 64 },
      optimizer: { learningRate: 0.02, weightDecay: 0.1 },
      training: { seed: 4, seeds: 1 },
      beside: {},
    });
  });
});
