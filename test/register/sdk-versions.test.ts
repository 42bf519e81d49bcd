import { expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { isInRange, SDK_VERSIONS } from '../../src/register/sdk-versions.ts';

test('register works with the versions of the SDK that package.json asks for', () => {
  expect(SDK_VERSIONS).toBe(packageJson.peerDependencies['@opentelemetry/sdk-logs']);
});

test.each([
  ['0.219.9', false],
  ['0.220.0', true],
  ['0.220.0-dev.1', true],
  ['0.223.1', true],
  ['0.299.99', true],
  ['0.300.0', false],
  ['0.1000.0', false],
  ['1.220.0', false],
  ['2.99.0', false],
  ['3.0.0', true],
  ['3.1.1+build', true],
  ['3.1000.0', true],
  ['4.0.0', false],
  ['30.0.0', false],
])('the version %s of the SDK is supported: %s', (version, isSupported) => {
  expect(isInRange(version, SDK_VERSIONS)).toBe(isSupported);
});
