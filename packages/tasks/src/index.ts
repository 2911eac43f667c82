// @mnemix/tasks: what models are trained and judged on. Host arrays only; runs anywhere.
export {
  compositionalMqar,
  type CompositionalMqarConfig,
  type CompositionalMqarSegment,
} from './compositional-mqar.ts';
export { forgettingMqar, type ForgettingMqarConfig, type ForgettingMqarSegment } from './forgetting-mqar.ts';
export { inductionHeads, type InductionHeadsConfig } from './induction-heads.ts';
export { macroAccuracy } from './macro-accuracy.ts';
export { madCompression, type MadCompressionConfig } from './mad-compression.ts';
export { madFuzzyRecall, type MadFuzzyRecallConfig } from './mad-fuzzy-recall.ts';
export { madInContextRecall, type MadInContextRecallConfig } from './mad-in-context-recall.ts';
export { madMemorization, type MadMemorizationConfig } from './mad-memorization.ts';
export { madNoisyRecall, type MadNoisyRecallConfig } from './mad-noisy-recall.ts';
export { madProtocol, madSettings, type MadSetting, type MadTaskType } from './mad-protocol.ts';
export { madSelectiveCopying, type MadSelectiveCopyingConfig } from './mad-selective-copying.ts';
export { mqar, type MqarConfig } from './mqar.ts';
export { mqarProtocols } from './mqar-protocols.ts';
export { queryDistances, type MqarSegment } from './mqar-segment.ts';
export { needle, type NeedleConfig } from './needle.ts';
export { phoneBook, type PhoneBookConfig, type PhoneBookSegment } from './phone-book.ts';
export type { Protocol } from './protocol.ts';
export { selectiveCopying, type SelectiveCopyingConfig } from './selective-copying.ts';
export {
  checkBatch,
  defineTask,
  IGNORE,
  type Batch,
  type BatchRequest,
  type ExampleSource,
  type SourceFacts,
  type Split,
  type Task,
  type TaskDefinition,
} from './task.ts';
export { taskOf, taskTypes, type TaskSpec, type TaskType, type TaskTypeEntry } from './task-types.ts';
export { text, type TextConfig } from './text.ts';
export { byteTokenizer, type Tokenizer } from './tokenizer.ts';
export { seenShare, sourceCeiling, taskCeiling, windowCeiling } from './window-ceiling.ts';
