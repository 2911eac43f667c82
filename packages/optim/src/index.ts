// @mnemix/optim: AdamW over parameter trees, and learning-rate schedules.
export { adamW, type AdamW, type AdamWOptions, type AdamWState, type AdamWUpdate } from './adam-w.ts';
export { standardGroups, type GroupSettings, type ParameterGroup } from './groups.ts';
export { checkFinite } from './norms.ts';
export { schedule, type ScheduleConfig } from './schedule.ts';
