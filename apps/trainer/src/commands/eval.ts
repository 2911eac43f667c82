// mnemix eval: how well a trained model predicts data that it has not seen.
import { Command, Option } from 'commander';
import { disposeTree, Rng } from '@mnemix/tensor';
import { evaluate } from '../evaluate.ts';
import { percent } from '../format.ts';
import { openDevice } from '../parts.ts';
import { describeDevice } from '../summary.ts';
import { buildTask } from '../task.ts';
import { findCheckpoint, loadCheckpoint, type Which } from '../trained.ts';
import { backendOption, type BackendOption } from './backend-option.ts';
import { numberFor } from './numbers.ts';

interface EvalOptions extends BackendOption {
  readonly checkpoint: Which;
  readonly sequences: number;
  readonly seed: number;
}

export function evalCommand(): Command {
  return new Command('eval')
    .description('Measure loss and accuracy of a run on unseen data of its task.')
    .argument('<run>', 'a run folder, or a checkpoint file of one')
    .addOption(
      new Option('--checkpoint <which>', 'of a run folder').choices(['best', 'last']).default('best'),
    )
    .option(
      '--sequences <n>',
      'how many sequences',
      numberFor('--sequences', { least: 1, whole: true }),
      1024,
    )
    .option(
      '--seed <n>',
      'which sequences; of a text: which stretch of the part that nothing was decided on',
      numberFor('--seed', { least: 0, whole: true }),
      0,
    )
    .addOption(backendOption())
    .addHelpText(
      'after',
      `
Example:
  $ mnemix eval runs/recall-2026-01-31T12-00-00/mom-seed-1 --sequences 4096`,
    )
    .action(async (path: string, { checkpoint: which, sequences, seed, backend }: EvalOptions) => {
      const checkpoint = await findCheckpoint(path, which);
      console.log(`device      ${describeDevice(await openDevice({ backend }))}`);
      const { task: taskConfig, training } = checkpoint.config;
      const task = await buildTask(taskConfig);
      const { model, params } = await loadCheckpoint(checkpoint);
      const rng = Rng.of(seed).fold('eval');
      const { loss, accuracy, counted } = await evaluate(model, params, {
        task,
        rng,
        purpose: 'final',
        round: seed,
        sequences,
        batch: training.batch,
      });
      disposeTree(params);
      console.log(`checkpoint  ${checkpoint.path}, after ${checkpoint.position.step} steps`);
      console.log(`loss        ${loss.toFixed(4)} nats a token (perplexity ${Math.exp(loss).toFixed(3)})`);
      console.log(`accuracy    ${percent(accuracy)} of ${counted} targets`);
    });
}
