import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { Application } from '../../register/application.ts';
import { Authority, type Pair } from '../../support/certificates.ts';
import { SDK_0, SDK_3 } from '../../support/sdk-line.ts';
import { Fluentd } from './fluentd.ts';

let authority: Authority;
let server: Pair;

beforeAll(async () => {
  authority = await Authority.create();
  server = await authority.issue();
});

test.each([SDK_0, SDK_3])(
  'register sends every record to Fluentd over TLS before SIGTERM ends the process: $name',
  async (line) => {
    const application = new Application(line);
    const file = (name: string) => join(application.directory, name);
    application.write('ca.pem', authority.cert);
    application.write('server.pem', server.cert);
    application.write('server.key', server.key);
    const fluentd = await Fluentd.start({
      source: `<transport tls>
        cert_path ${file('server.pem')}
        private_key_path ${file('server.key')}
      </transport>`,
    });
    application.write(
      'app.mjs',
      `import { logs } from '${line.api}';
     for (let n = 0; n < 1000; n++) logs.getLogger('app').emit({ body: n });
     setInterval(() => {}, 1000);
     process.stdout.write('ready');`,
    );
    const { child, wrote, finished } = application.start('app.mjs', {
      env: {
        OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: fluentd.endpoint.replace('tcp:', 'tls:'),
        OTEL_EXPORTER_FLUENT_FORWARD_CERTIFICATE: file('ca.pem'),
        OTEL_SERVICE_NAME: 'shop',
      },
    });
    await wrote('ready');
    child.kill('SIGTERM');
    expect(await finished).toMatchObject({ code: null, signal: 'SIGTERM', stdout: 'ready', stderr: '' });
    const records = (await fluentd.output()).map((text) => JSON.parse(text));
    application.remove();
    // Fluentd complains about a TLS connection that is cut off.
    expect(fluentd.complaints.filter((line) => !line.includes('private_key_passphrase'))).toEqual([]);
    expect(records.map(({ body }) => body)).toEqual(Array.from({ length: 1000 }, (_, n) => n));
    expect(new Set(records.map(({ resource }) => resource['service.name']))).toEqual(new Set(['shop']));
  },
);
