/**
 * How long something takes, and how much of the processor's time this process takes for it, with its
 * garbage collection. The young generation is emptied before; a whole collection would throw away the code
 * that was compiled for shapes of which no record is alive.
 */
export async function measure(run) {
  globalThis.gc({ type: 'minor' });
  const cpu = process.cpuUsage();
  const start = performance.now();
  await run();
  const millis = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { millis, cpuMicros: user + system };
}
