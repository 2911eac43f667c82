// Numbers on the command line.
import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError, which commander shows beside the option */
export const wholeNumber = (text: string): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError('Use a whole number from 1 on.');
};
