// @mnemix/tasks: what models are trained and judged on. Host arrays only; runs anywhere.
export { mqar, type MqarConfig, type MqarSegment } from './mqar.ts';
export { queryDistances, windowCeiling } from './mqar-window.ts';
export {
  checkBatch,
  defineTask,
  IGNORE,
  type Batch,
  type BatchRequest,
  type ExampleSource,
  type Split,
  type Task,
  type TaskDefinition,
} from './task.ts';
export { text, type TextConfig } from './text.ts';
export { byteTokenizer, type Tokenizer } from './tokenizer.ts';
