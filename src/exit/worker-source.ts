/** The program of the worker thread (`worker/main.ts`) as one string. `scripts/build.mjs` puts it here. */
export const WORKER_SOURCE: string = "throw new Error('the package is not built')";
