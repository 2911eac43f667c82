declare module 'jstat' {
  const library: {
    readonly studentt: {
      /** P(T ≤ x) of Student's distribution. */
      cdf(x: number, degreesOfFreedom: number): number;
    };
  };
  export default library;
}
