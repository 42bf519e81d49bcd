import { beforeEach, expect, test } from 'vitest';
import { Application, LINES } from '../register/application.ts';
import { Fluentd, requireFluentd } from '../support/fluentd.ts';

const TEST_LIMIT_MILLIS = 60_000;

beforeEach(requireFluentd);

test.each(LINES)(
  'the set-up without code, beside $name, sends to Fluentd until SIGTERM',
  {
    timeout: TEST_LIMIT_MILLIS,
  },
  async (line) => {
    const fluentd = await Fluentd.start();
    const application = new Application(line);
    application.write(
      'app.mjs',
      `import { logs } from '${line.api}';
     for (let n = 0; n < 1000; n++) logs.getLogger('app').emit({ body: n });
     setInterval(() => {}, 1000);
     process.stdout.write('ready');`,
    );
    const { child, wrote, finished } = application.start('app.mjs', {
      env: { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: fluentd.endpoint, OTEL_SERVICE_NAME: 'shop' },
    });
    await wrote('ready');
    child.kill('SIGTERM');
    expect(await finished).toMatchObject({ code: null, signal: 'SIGTERM', stdout: 'ready', stderr: '' });
    application.remove();
    const records = (await fluentd.output()).map((text) => JSON.parse(text));
    expect(records.map(({ body }) => body)).toEqual(Array.from({ length: 1000 }, (_, n) => n));
    expect(new Set(records.map(({ resource }) => resource['service.name']))).toEqual(new Set(['shop']));
  },
);
