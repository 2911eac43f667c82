// `bench compare A B`: whether B is worse than A.
import { InvalidArgumentError, type Command } from 'commander';
import { compare, formatComparison, isWorse, type CompareOptions } from '../sweep/compare.ts';
import { UsageError } from '../sweep/faults.ts';
import { readRecords } from '../sweep/store.ts';
import { reportingFaults } from './usage.ts';

const share = (text: string): number => {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('Use a number from 0 to 1.');
};

export function addCompare(program: Command): void {
  program
    .command('compare <before> <after>')
    .description('two result files, point by point: what is better, what is worse, what is noise')
    .option('--threshold <share>', 'smallest difference of accuracies that matters', share, 0.02)
    .option('--alpha <p>', 'p below which a difference is none of noise', share, 0.05)
    .option(
      '--one-seed-decides',
      'count differences beyond the threshold where there is one seed only',
      false,
    )
    .addHelpText(
      'after',
      '\nPoints are matched by model, size, task and learning rate; their seeds are the samples.' +
        '\nExit codes: 0 nothing is worse; 1 something is worse, or failed that did not before;' +
        ' 2 the files cannot be compared.',
    )
    .action(
      reportingFaults(async (before: string, after: string, options: CompareOptions) => {
        const comparisons = compare(await readRecords(before), await readRecords(after), options);
        if (comparisons.every(({ verdict }) => verdict === 'missing')) {
          throw new UsageError([
            {
              where: `${before}, ${after}`,
              message: 'they have no point in common.',
              fix: 'Compare two results of the same sweep.',
            },
          ]);
        }
        console.log(formatComparison(comparisons, options));
        if (isWorse(comparisons)) process.exitCode = 1;
      }),
    );
}
