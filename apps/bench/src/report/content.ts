// What the report says, once, as plain data: the HTML page and the Markdown both are written from this.
import { madScores, madTable } from '../mad/score.ts';
import type { SpeedResult } from '../speed.ts';
import type { Job, JobRecord } from '../sweep/record.ts';
import { ceilingOf, judgedSegments } from './ceilings.ts';
import { compareWithPublished, NOTICEABLE } from './comparison.ts';
import {
  accuracyAgainstState,
  bytesText,
  CURVES,
  decodeLatency,
  learningCurves,
  memoryLoads,
  memoryOverlap,
  tokenAssignment,
} from './figures.ts';
import { groupBy, summarize, type Lost, type Point } from './points.ts';
import { recallMemorySweep } from './published.ts';

export type Block =
  | { readonly kind: 'text'; readonly text: string }
  /** `name` becomes the file's name where figures are files. */
  | { readonly kind: 'figure'; readonly name: string; readonly caption: string; readonly svg: string }
  | {
      readonly kind: 'table';
      readonly head: readonly string[];
      readonly rows: readonly (readonly string[])[];
    };

export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

export interface ReportInput {
  readonly records: readonly JobRecord[];
  /** Of `bench speed`. */
  readonly speed?: SpeedResult | undefined;
}

export function reportContent({ records, speed }: ReportInput): readonly Section[] {
  const isMad = ({ job }: JobRecord): boolean => job.task.type.startsWith('mad_');
  const { points, lost } = summarize(records.filter((record) => !isMad(record)));
  const mad = records.filter(isMad);
  const settings = [...groupBy(points, ({ setting }) => setting)];
  return [
    ...settings.map(([setting, own]) => recallSection(setting, own)),
    ...publishedSection(points),
    ...mixtureSection(points),
    ...settings.flatMap(([setting, own]) => routingSection(setting, own)),
    ...(mad.length > 0 ? [madSection(mad)] : []),
    ...(speed ? [speedSection(speed)] : []),
    ...lostSection([...lost, ...summarize(mad).lost]),
    environmentSection(records),
  ];
}

const percent = (share: number): string => (100 * share).toFixed(1);
const jobOf = (point: Point): Job => (point.records[0] as Point['records'][number]).job;
const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
const text = (paragraph: string): Block => ({ kind: 'text', text: paragraph });

const withRange = ({ mean, accuracy: { min, max }, seeds }: Point): string =>
  seeds === 1 ? percent(mean) : `${percent(mean)} (${percent(min)} – ${percent(max)})`;

function recallSection(setting: string, points: readonly Point[]): Section {
  const jobs = points.map(jobOf);
  const ceiling = ceilingOf(jobs);
  const published = judgedSegments(jobs[0] as Job).length > 0 ? recallMemorySweep : [];
  const seeds = Math.max(...points.map((point) => point.seeds));
  const trainings = Math.max(...points.map((point) => point.trainings));
  const tests = [...new Set(points.flatMap(({ accuracies }) => Object.keys(accuracies)))];
  const rows = [...points]
    .sort((a, b) => b.mean - a.mean)
    .map((point) => [
      point.model,
      point.size,
      bytesText(point.stateBytes),
      String(point.activatedParameters),
      withRange(point),
      ...(tests.length > 1 ? tests.map((test) => percent(point.accuracies[test] ?? 0)) : []),
      String(point.steps.median),
      String(point.learningRate),
      point.seconds.median.toFixed(0),
    ]);
  return {
    title: setting,
    blocks: [
      text(
        `${seeds} ${seeds === 1 ? 'seed' : 'seeds'}, ${trainings === 1 ? 'one training each' : `the best of ${trainings} learning rates or weight decays`}. ` +
          'State counts what a step carries on for one sequence, all layers. ' +
          (ceiling
            ? 'The dashed line is what a window of as many bytes answers by formula: what stands above it is owed to memory outside ' +
              'of the window. '
            : '') +
          (published.length > 0
            ? 'Grey: published points of the recall-memory sweep (64 to 1,024 tokens, 4 to 256 pairs; Arora et al. 2024), whose task ' +
              'is harder than a small one; they can be compared with ours only where the protocol is the same.'
            : ''),
      ),
      {
        kind: 'figure',
        name: `accuracy-${slug(setting)}`,
        caption: 'Accuracy against bytes of state.',
        svg: accuracyAgainstState(setting, points, { ceiling, published }),
      },
      {
        kind: 'table',
        head: [
          'model',
          'size',
          'state',
          'activated parameters',
          'accuracy, %',
          ...(tests.length > 1 ? tests : []),
          'steps',
          'learning rate',
          'seconds',
        ],
        rows,
      },
      ...inParts(points, CURVES).map((part, i): Block => ({
        kind: 'figure',
        name: `curves-${slug(setting)}-${i + 1}`,
        caption: 'Learning curves of the best training, each seed a line.',
        svg: learningCurves(
          setting,
          part.flatMap((point) =>
            point.records.map(({ outcome }) => ({
              name: `${point.model} ${point.size}`.trim(),
              points: outcome.curve,
            })),
          ),
        ),
      })),
    ],
  };
}

const inParts = <T>(values: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.slice(i * size, (i + 1) * size));

function publishedSection(points: readonly Point[]): Section[] {
  const comparisons = compareWithPublished(points);
  if (comparisons.length === 0) return [];
  const differing = comparisons.filter(({ differs }) => differs).length;
  return [
    {
      title: 'Beside the published points',
      blocks: [
        text(
          `Judged on the same tests, state sizes within 10 % (counted as the published ones are, without the short convolutions inside of cells): ${differing} of ${comparisons.length} differ by more than ${NOTICEABLE}.`,
        ),
        {
          kind: 'table',
          head: [
            'model',
            'size',
            'steps',
            'state',
            'published state',
            'accuracy',
            'published',
            'difference',
            '',
          ],
          rows: comparisons.map(({ point, stateBytes, published, difference, differs }) => [
            point.model,
            point.size,
            String(jobOf(point).training.steps),
            bytesText(stateBytes),
            bytesText(published.stateBytes),
            point.mean.toFixed(3),
            published.accuracy.toFixed(3),
            difference.toFixed(3),
            differs ? 'differs' : '',
          ]),
        },
      ],
    },
  ];
}

/** A mixture, or a single memory, of a cell. */
const memoryOf = (point: Point): { cell: string; isMixture: boolean } | undefined => {
  const { mixer } = jobOf(point).lm;
  const last = Array.isArray(mixer) ? mixer.at(-1) : mixer;
  if (last.type === 'mom') return { cell: last.cell.type, isMixture: true };
  return ['attention', 'bmojo', 'convolution'].includes(last.type)
    ? undefined
    : { cell: last.type, isMixture: false };
};

/** The central claim of Mixture-of-Memories (Du et al. 2025, Table 4): many memories against a single one of the same cell. */
function mixtureSection(points: readonly Point[]): Section[] {
  const rows = points.flatMap((mixture) => {
    const own = memoryOf(mixture);
    if (!own?.isMixture) return [];
    const singles = points.filter((point) => {
      const other = memoryOf(point);
      return point.setting === mixture.setting && other?.cell === own.cell && !other.isMixture;
    });
    return singles.map((single) => [
      mixture.setting,
      `${mixture.model} ${mixture.size}`.trim(),
      `${single.model} ${single.size}`.trim(),
      `${bytesText(mixture.stateBytes)} / ${bytesText(single.stateBytes)}`,
      `${mixture.activatedParameters} / ${single.activatedParameters}`,
      `${withRange(mixture)} / ${withRange(single)}`,
      verdict(mixture, single),
    ]);
  });
  if (rows.length === 0) return [];
  return [
    {
      title: 'Mixtures beside single memories of the same cell',
      blocks: [
        text(
          'Each mixture beside every single memory of its cell in the same setting. With several seeds a verdict is given where the ' +
            'ranges of the seeds do not overlap; one seed decides nothing.',
        ),
        {
          kind: 'table',
          head: [
            'setting',
            'mixture',
            'single memory',
            'state',
            'activated parameters',
            'accuracy, %',
            'verdict',
          ],
          rows,
        },
      ],
    },
  ];
}

function verdict(mixture: Point, single: Point): string {
  if (Math.min(mixture.seeds, single.seeds) < 2) return 'one seed';
  if (mixture.accuracy.min > single.accuracy.max) return 'mixture above';
  if (single.accuracy.min > mixture.accuracy.max) return 'single above';
  return 'within the spread';
}

function routingSection(setting: string, points: readonly Point[]): Section[] {
  return points.flatMap((point) => {
    const [first] = point.records;
    const routing = first?.outcome.routing;
    if (!routing || routing.length === 0) return [];
    const name = `${point.model} ${point.size}`.trim();
    const file = slug(`${setting} ${name}`);
    return [
      {
        title: `Routing of ${name}, ${setting}`,
        blocks: [
          {
            kind: 'figure' as const,
            name: `load-${file}`,
            caption: 'Share of the choices that went to each memory, over training.',
            svg: memoryLoads(`${name}: load of the memories`, routing),
          },
          {
            kind: 'figure' as const,
            name: `assignment-${file}`,
            caption: 'Where each token of one unseen sequence went: first choices dark, further ones light.',
            svg: tokenAssignment(`${name}: memories of each token`, routing),
          },
          {
            kind: 'figure' as const,
            name: `overlap-${file}`,
            caption:
              'Of the distinct tokens that went to a memory (row), the share that another one (column) was sent too.',
            svg: memoryOverlap(`${name}: overlap of the memories`, routing),
          },
        ],
      },
    ];
  });
}

function speedSection(speed: SpeedResult): Section {
  return {
    title: 'Speed beside softmax attention',
    blocks: [
      text(
        `One layer of width ${speed.sizes.width}, one thread. × is attention's time over the mixer's in the same round: above 1 is faster.`,
      ),
      {
        kind: 'figure',
        name: 'decode-latency',
        caption: 'One decoded token against the tokens before it.',
        svg: decodeLatency('Decoding', speed.rows),
      },
      {
        kind: 'table',
        head: [
          'mixer',
          'training, k tokens/s',
          '× attention',
          'prompt, k tokens/s',
          '× attention',
          'ms a token, longest context',
          '× attention',
          'state, longest context',
        ],
        rows: speed.rows.map(({ mixer, training, prefill, decode }) => {
          const last = decode.at(-1);
          return [
            mixer,
            (training.tokensPerSecond.median / 1000).toFixed(1),
            training.overAttention.median.toFixed(2),
            (prefill.tokensPerSecond.median / 1000).toFixed(1),
            prefill.overAttention.median.toFixed(2),
            last?.milliseconds.median.toFixed(2) ?? '',
            last?.overAttention.median.toFixed(2) ?? '',
            last ? bytesText(last.stateBytes) : '',
          ];
        }),
      },
    ],
  };
}

const madSection = (records: readonly JobRecord[]): Section => ({
  title: 'MAD',
  blocks: [
    text(
      'Accuracy in per cent, the mean over classes; a task is the mean over its settings of the best training. Published rows: width ' +
        '128, 200 epochs, the best of six trainings, 66 settings; what was trained smaller cannot be compared with them.',
    ),
    { kind: 'table', ...madTable(madScores(records)) },
  ],
});

const lostSection = (lost: readonly Lost[]): Section[] =>
  lost.length === 0
    ? []
    : [
        {
          title: 'Trainings that came to nothing',
          blocks: [
            {
              kind: 'table',
              head: ['model', 'size', 'setting', 'learning rate', 'seed', 'outcome', 'cause'],
              rows: lost.map(({ job, status, message }) => [
                job.model,
                job.size,
                job.setting,
                String(job.training.learningRate),
                String(job.seed),
                status,
                message,
              ]),
            },
          ],
        },
      ];

function environmentSection(records: readonly JobRecord[]): Section {
  const machines = groupBy(records, ({ environment }) => JSON.stringify(environment));
  const seconds = records.reduce((sum, { outcome }) => sum + outcome.seconds, 0);
  return {
    title: 'How this was made',
    blocks: [
      text(`${records.length} trainings, ${(seconds / 3600).toFixed(1)} hours of one core in all.`),
      {
        kind: 'table',
        head: ['trainings', 'environment'],
        rows: [...machines.values()].map((group) => [
          String(group.length),
          Object.entries(group[0]?.environment ?? {})
            .map(([name, value]) => `${name} ${value}`)
            .join(', '),
        ]),
      },
    ],
  };
}
