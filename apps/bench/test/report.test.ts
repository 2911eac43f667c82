// The report from records that are made up: which learning rate is taken, what is drawn, and what is said of failures.
import { describe, expect, it } from 'vitest';
import { compareWithPublished } from '../src/report/comparison.ts';
import { reportContent } from '../src/report/content.ts';
import { reportHtml } from '../src/report/html.ts';
import { reportMarkdown } from '../src/report/markdown.ts';
import { summarize } from '../src/report/points.ts';
import { recallMemoryTests } from '../src/report/published.ts';
import type { Done, Job, JobRecord, LayerRouting, Outcome } from '../src/sweep/record.ts';

const job: Job = {
  model: 'gla',
  family: 'gla',
  size: '64',
  setting: '64 tokens, 8 pairs',
  lm: { vocabSize: 66, width: 64, layers: 2, mlp: null, mixer: { type: 'gla', heads: 2 } },
  task: { type: 'mqar', vocabSize: 66, segments: [{ tokens: 64, pairs: 8 }], fill: 'blank' },
  training: {
    batch: 32,
    steps: 100,
    learningRate: 1e-3,
    weightDecay: 0.1,
    clipNorm: 1,
    schedule: 'cosine',
    warmupSteps: 10,
    finalRatio: 0.1,
    evaluateEvery: 50,
    testSequences: 64,
    stopAt: 0.99,
  },
  seed: 1,
  backend: 'wasm',
};

const done = (accuracy: number, more: Partial<Done> = {}): Done => ({
  status: 'done',
  accuracies: { test: accuracy },
  accuracy,
  steps: 100,
  curve: [
    { step: 50, loss: 3, accuracy: accuracy / 2 },
    { step: 100, loss: 2, accuracy },
  ],
  stateBytes: 8192,
  parameters: 1000,
  activatedParameters: 900,
  seconds: 10,
  ...more,
});

const diverged: Outcome = {
  status: 'diverged',
  cause: { code: 'diverged', message: 'the loss is NaN after 3 steps.' },
  curve: [],
  seconds: 1,
};

const record = (change: Partial<Job>, learningRate: number, outcome: Outcome): JobRecord => {
  const own = { ...job, ...change, training: { ...job.training, learningRate } };
  return {
    key: JSON.stringify(own),
    job: own,
    outcome,
    environment: { node: '20' },
    finished: '2026-01-01T00:00:00Z',
  };
};

const routing: LayerRouting = {
  layer: 1,
  memories: 2,
  topK: 1,
  load: [{ step: 50, shares: [0.25, 0.75] }],
  example: { ids: [5, 6, 7], chosen: [[0], [1], [1]] },
  overlap: [
    [1, 0.5],
    [0.25, 1],
  ],
};

describe('summarize', () => {
  it('takes the learning rate with the best mean over seeds, a diverged seed counting as 0', () => {
    const records = [
      record({ seed: 1 }, 1e-2, done(0.9)),
      record({ seed: 2 }, 1e-2, diverged),
      record({ seed: 1 }, 1e-3, done(0.5)),
      record({ seed: 2 }, 1e-3, done(0.7)),
    ];
    const { points, lost } = summarize(records);
    expect(points).toHaveLength(1);
    expect(points[0]).toMatchObject({
      learningRate: 1e-3,
      seeds: 2,
      trainings: 2,
      accuracy: { min: 0.5, max: 0.7 },
    });
    expect(points[0]?.mean).toBeCloseTo(0.6);
    expect(lost).toMatchObject([{ status: 'diverged', message: 'the loss is NaN after 3 steps.' }]);
  });

  it('has no point for a model whose trainings all came to nothing', () => {
    expect(summarize([record({}, 1e-2, diverged)])).toMatchObject({
      points: [],
      lost: [{ status: 'diverged' }],
    });
  });
});

describe('comparison with published points', () => {
  const atProtocol: Partial<Job> = {
    tests: Object.fromEntries(
      recallMemoryTests.map((segment) => [
        `${segment.tokens}/${segment.pairs}`,
        { type: 'mqar', vocabSize: 8192, segments: [segment] },
      ]),
    ),
    task: { type: 'mqar', vocabSize: 8192, segments: [{ tokens: 64, pairs: 4 }] },
  };

  it('finds the published point of the same size, and tells a difference of more than 0.05', () => {
    const { points } = summarize([
      record({ ...atProtocol, size: 'a' }, 1e-3, done(0.76, { stateBytes: 17_800 })),
      record({ ...atProtocol, size: 'b' }, 1e-3, done(0.8, { stateBytes: 68_000 })),
      record({ ...atProtocol, size: 'c' }, 1e-3, done(0.8, { stateBytes: 30_000 })),
    ]);
    expect(compareWithPublished(points)).toMatchObject([
      { point: { size: 'a' }, published: { accuracy: 0.771 }, differs: false },
      { point: { size: 'b' }, published: { accuracy: 0.95 }, differs: true },
    ]);
  });

  it('counts the state as the published sizes do, without short convolutions', () => {
    const lm: Job['lm'] = {
      vocabSize: 8192,
      width: 64,
      layers: 2,
      mlp: null,
      mixer: [{ type: 'convolution' }, { type: 'delta_net', heads: 2, expandK: 1, expandV: 1 }],
    };
    const job = { ...atProtocol, family: 'delta_net', lm };
    expect(
      compareWithPublished(summarize([record(job, 1e-3, done(0.8, { stateBytes: 12_032 }))]).points),
    ).toMatchObject([{ stateBytes: 8960, published: { stateBytes: 8900 } }]);
  });

  it('compares nothing across protocols', () => {
    expect(compareWithPublished(summarize([record({}, 1e-3, done(0.8))]).points)).toEqual([]);
  });
});

describe('the report', () => {
  const mixture: Partial<Job> = {
    model: 'mom gla',
    family: 'mom gla',
    lm: { ...job.lm, mixer: { type: 'mom', cell: { type: 'gla', heads: 2 } } },
  };
  const sections = reportContent({
    records: [
      record({ seed: 1 }, 1e-3, done(0.5)),
      record({ seed: 2 }, 1e-3, done(0.6)),
      record({ ...mixture, seed: 1 }, 1e-3, done(0.8, { routing: [routing] })),
      record({ ...mixture, seed: 2 }, 1e-3, done(0.9, { routing: [routing] })),
      record({ model: '<b>', seed: 1 }, 1e-3, diverged),
    ],
  });

  it('draws accuracy, learning and routing, and judges mixtures by the ranges over seeds', () => {
    const figures = sections.flatMap(({ blocks }) => blocks.filter(({ kind }) => kind === 'figure'));
    expect(figures.map((figure) => figure.kind === 'figure' && figure.name)).toEqual([
      'accuracy-64-tokens-8-pairs',
      'curves-64-tokens-8-pairs-1',
      'load-64-tokens-8-pairs-mom-gla-64',
      'assignment-64-tokens-8-pairs-mom-gla-64',
      'overlap-64-tokens-8-pairs-mom-gla-64',
    ]);
    for (const figure of figures) expect(figure).toMatchObject({ svg: expect.stringContaining('<svg') });
    const tables = sections.flatMap(({ blocks }) => blocks.filter(({ kind }) => kind === 'table'));
    expect(JSON.stringify(tables)).toContain('mixture above');
  });

  it('is one HTML file without scripts or links to elsewhere, with what records say escaped', () => {
    const html = reportHtml('Recall', sections);
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)|<b>/);
    expect(html).toContain('&lt;b&gt;');
  });

  it('is Markdown with figures as files', () => {
    expect(reportMarkdown('Recall', sections, 'report')).toContain(
      '](report/accuracy-64-tokens-8-pairs.svg)',
    );
  });
});
