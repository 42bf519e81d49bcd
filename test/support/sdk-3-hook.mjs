// Loaded into a program of this repository when the tests run on the 3.x line of the SDK: the program's own imports
// of the SDK would find the 0.223 line, which the repository installs.
import { createRequire, registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';

const home = new URL('../integration/sdk-3/package.json', import.meta.url);
const { default: sdk } = await import(home, { with: { type: 'json' } });
const { resolve } = createRequire(home);
/** Resolved before the hook is registered, because `resolve()` calls it, too. */
const urls = new Map(Object.keys(sdk.dependencies).map((name) => [name, pathToFileURL(resolve(name)).href]));

registerHooks({
  resolve(specifier, context, nextResolve) {
    const url = urls.get(specifier);
    return url === undefined ? nextResolve(specifier, context) : { url, shortCircuit: true };
  },
});
