// A job: every model of a configuration with every seed, one run after the other, then all of them side by side.
import type { BackendReport } from '@mnemix/tensor';
import { kindOf, removePartials, writeAtomically } from './files.ts';
import type { Config } from './config.ts';
import { recordDevice } from './device.ts';
import { listenForInterrupt, exitCodeOf } from './interrupt.ts';
import { lockFolder } from './lock.ts';
import { readLog } from './log.ts';
import { onFreshDevices } from './lost-device.ts';
import { openDevice, type Parts } from './parts.ts';
import { planJob, type PlannedRun } from './plan-job.ts';
import { createProgress, type Screen } from './progress.ts';
import { exitCodes } from './errors.ts';
import {
  readResult,
  resultOf,
  resultTable,
  sizeOf,
  sizesCaption,
  writeResult,
  type Result,
} from './result.ts';
import { createRunFolder, inFolder } from './run-folder.ts';
import { createStepTrace } from './step-trace.ts';
import { describeDevice, describeRun } from './summary.ts';
import { train } from './train.ts';

export interface JobSurroundings {
  readonly screen: Screen;
  /** Makes what a run consists of. */
  readonly build: (config: Config) => Promise<Parts>;
  /** Where to write a trace of one step, if anywhere. */
  readonly trace?: string | undefined;
}

/**
 * Does what is left to do of a job: runs that have a result are not run again, one that was stopped continues.
 *
 * @param folder an existing job folder
 * @returns the exit code
 */
export async function runJob(
  folder: string,
  config: Config,
  { screen, build, trace: tracePath }: JobSurroundings,
): Promise<number> {
  const progress = createProgress(screen, config.output.logEvery);
  using interrupt = listenForInterrupt(() =>
    progress.note('Finishing this step, then saving. Press Ctrl-C again to leave at once.'),
  );
  await using _lock = await lockFolder(folder);
  const device = await openDevice(config);
  progress.note(`device      ${describeDevice(device)}`);
  await removePartials(folder);
  const trace = tracePath === undefined ? undefined : createStepTrace(tracePath, progress.note);
  const results: Result[] = [];
  const runs = planJob(folder, config);
  for (const run of runs) {
    const isMissing = run.folder !== folder && (await kindOf(run.folder)) === 'nothing';
    if (isMissing) await createRunFolder(run.folder, run.config);
    // Somebody may resume this run alone.
    await using _runLock = run.folder === folder ? undefined : await lockFolder(run.folder);
    const paths = inFolder(run.folder);
    let result = await readResult(paths.result);
    if (result === undefined) {
      const parts = await build(run.config);
      const size = sizeOf(parts, run.config.model);
      progress.note(describeRun(run, parts, size));
      const before = await recordDevice(paths.device, device);
      if (before) progress.note(deviceWarning(before, device));
      const end = await onFreshDevices(
        async (losses) =>
          // A model may hold tensors of its own, which are lost too.
          train(run, losses === 0 ? parts : await build(run.config), { progress, interrupt, trace }),
        { open: () => openDevice(config), note: progress.note },
      );
      if (end.ended === 'interrupted') {
        progress.note(
          `Saved ${end.checkpoint} after step ${end.step}. Continue with: mnemix resume ${folder}`,
        );
        return exitCodeOf(interrupt.requested ?? 'SIGINT');
      }
      result = resultOf(end, run, size);
      await writeCurves(run.folder, [run], config);
      await writeResult(paths.result, result);
    }
    results.push({ ...result, model: run.model, seed: run.seed });
  }
  if (runs.length > 1) await writeCurves(folder, runs, config);
  progress.note(`\n${resultTable(results, config.training.stopAt)}\n\n${sizesCaption(results)}\n`);
  progress.note(`curves      ${inFolder(folder).curves}`);
  return exitCodes.done;
}

const deviceWarning = (before: string, now: BackendReport): string =>
  `warning     this run has computed with ${before} so far, and goes on with ${describeDevice(now)}: ` +
  'it will not be the same bit for bit.\n';

async function writeCurves(
  folder: string,
  runs: readonly PlannedRun[],
  { name, training }: Config,
): Promise<void> {
  const curves = await Promise.all(
    runs.map(async (run) => ({ name: run.model, entries: await readLog(inFolder(run.folder).log) })),
  );
  // Loaded only now: the plotting library takes longer to load than all the rest.
  const { drawCurves } = await import('./figure.ts');
  await writeAtomically(
    inFolder(folder).curves,
    drawCurves(curves, { title: name, target: training.stopAt }),
  );
}
