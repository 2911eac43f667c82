// The memory study as Markdown.
import {
  ceilingsOf,
  studyPresets,
  type Fill,
  type StudyName,
  type StudyPreset,
  type StudyResult,
} from './memory-study.ts';
import { mean, spread } from './statistics.ts';

const percent = (share: number): string => (100 * share).toFixed(1);

const nameOf = ({ kind, slots, policy }: StudyResult): string => {
  const names = {
    window: 'window alone',
    cell: 'recurrence alone',
    hybrid: 'hybrid: recurrence, window',
    'bmojo-f': "B'MOJO-F",
    bmojo: `B'MOJO, ${slots} slots, ${policy}`,
  };
  return names[kind];
};

/** Mean over seeds, with the range where there are several. */
function accuracy(results: readonly StudyResult[], test: number): string {
  const values = results.map(({ accuracies }) => accuracies[test] as number);
  const { min, max } = spread(values);
  return values.length === 1
    ? percent(mean(values))
    : `${percent(mean(values))} (${percent(min)} – ${percent(max)})`;
}

/** Results of the same model, in the order in which models first come. */
function byName(results: readonly StudyResult[]): Map<string, StudyResult[]> {
  const groups = new Map<string, StudyResult[]>();
  for (const result of results) groups.set(nameOf(result), [...(groups.get(nameOf(result)) ?? []), result]);
  return groups;
}

/** Whether what surprises is worth more than what chance picks, slots by slots. */
function verdicts(results: readonly StudyResult[], preset: StudyPreset): string[] {
  const of = (slots: number | undefined, policy: string): StudyResult[] =>
    results.filter((result) => result.slots === slots && result.policy === policy);
  const slots = [...new Set(results.flatMap((result) => (result.kind === 'bmojo' ? [result.slots] : [])))];
  return slots.flatMap((count) => {
    const [own, chance] = [of(count, 'innovation'), of(count, 'random')];
    if (own.length === 0 || chance.length === 0) return [];
    const gains = preset.test.map(({ pairs }, i) => {
      const gain = mean(own.map((r) => r.accuracies[i]!)) - mean(chance.map((r) => r.accuracies[i]!));
      return `${gain >= 0 ? '+' : '−'}${percent(Math.abs(gain))} at ${pairs} pairs`;
    });
    return [`- ${count} slots by innovation against as many by chance: ${gains.join(', ')}.`];
  });
}

/** @param results of one preset */
export function formatStudy(name: StudyName, results: readonly StudyResult[]): string {
  const preset: StudyPreset = studyPresets[name];
  const { test, train, window, vocabSize, width, heads, steps, batch, learningRate, cell } = preset;
  const seeds = new Set(results.map(({ seed }) => seed)).size;
  const segment = ({ tokens, pairs }: { tokens: number; pairs: number }): string => `${pairs} in ${tokens}`;
  const head = test.map(({ tokens, pairs }) => `${pairs} pairs in ${tokens} tokens, %`);
  const table = (fill: Fill): string[] => {
    const own = results.filter((result) => result.fill === fill);
    if (own.length === 0) return [];
    const rows = [...byName(own)]
      .map(([model, of]) => ({ model, of, bytes: (of[0] as StudyResult).stateBytes }))
      .map(
        ({ model, of, bytes }) =>
          `| ${model} | ${bytes} | ${test.map((_, i) => accuracy(of, i)).join(' | ')} |`,
      );
    return [
      `## ${fill === 'blank' ? 'Blanks' : 'Random tokens'} between the queries`,
      '',
      `| model | state, bytes | ${head.join(' | ')} |`,
      `|---|---|${head.map(() => '---|').join('')}`,
      `| _what a window of ${window} can answer_ | | ${ceilingsOf(preset)
        .map((share) => `_${percent(share)}_`)
        .join(' | ')} |`,
      ...rows,
      '',
      ...verdicts(own, preset),
      '',
    ];
  };
  return [
    `Multi-query associative recall, vocabulary ${vocabSize}: trained on mixtures of pairs in tokens (${train.map(segment).join(', ')}), ` +
      `judged on unseen sequences of each kind. Two layers of width ${width} without MLP, ${heads} ${heads === 1 ? 'head' : 'heads'}; the first a ` +
      `gated convolution of three taps (in the hybrid the recurrence), the second the model named. Window ${window}; recurrence ` +
      `\`${JSON.stringify(cell)}\`. ${steps} steps of ${batch} sequences, learning rate ${learningRate}, ` +
      `${seeds === 1 ? 'one seed' : `${seeds} seeds: mean (smallest – largest)`}. All models had the same training; none was tuned.`,
    '',
    ...table('blank'),
    ...table('random'),
  ].join('\n');
}
