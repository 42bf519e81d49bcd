// @ts-check
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ReceiverProcess } from './receiver-process.mjs';

/** The version that CI installs, and whose behaviour the tests describe. */
export const VERSION = '1.18.0';

/** What to say where there is no Fluentd. */
export const NOT_INSTALLED = `fluentd is not installed: gem install fluentd -v ${VERSION}`;

/**
 * Asked once; null where there is none.
 *
 * @type {string | null | undefined}
 */
let installed;

export function installedVersion() {
  installed ??= askVersion();
  return installed ?? undefined;
}

function askVersion() {
  try {
    return execFileSync('fluentd', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .replace('fluentd ', '');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return null;
    throw error;
  }
}

/** A Fluentd with a forward input, a file buffer and a file output that keeps a time's nanoseconds. */
export class FluentdProcess extends ReceiverProcess {
  /**
   * @param {number} port
   * @param {string} [source] added to the forward input's section
   */
  constructor(port, source = '') {
    super({
      name: 'fluentd',
      port,
      // One process without a supervisor, so that a signal reaches all there is.
      command: (directory) => ['fluentd', '--no-supervisor', '-c', join(directory, 'fluent.conf')],
      // Where a kill leaves its socket, to go with the directory; the path of a socket has to be short.
      environment: { SERVERENGINE_SOCKETMANAGER_SOCK_DIR: '.' },
      runningLine: 'fluentd worker is now running',
    });
    writeFileSync(join(this.directory, 'fluent.conf'), configuration(port, this.directory, source));
  }

  /**
   * Stops it, which writes out its buffer.
   *
   * @override
   */
  async outputFiles() {
    const paths = await super.outputFiles();
    const left = this.filesIn('buffer').filter((path) => path.endsWith('.log'));
    if (left.length > 0) throw new Error(`fluentd stopped with ${left.length} chunks unwritten:\n${this.log}`);
    return paths;
  }

  /** What it has logged as warnings or worse. */
  get complaints() {
    return this.log.split('\n').filter((line) => / \[(warn|error|fatal)\]: /.test(line));
  }

  /** Connections that it has accepted. */
  get connections() {
    return this.count('accepted fluent socket');
  }

  /** The chunk ids that it has acknowledged, in order. */
  get acks() {
    return [...this.log.matchAll(/sent response to fluent socket .*"ack"=>"([^"]+)"/g)].map(([, id]) => String(id));
  }
}

/**
 * @param {number} port
 * @param {string} directory
 * @param {string} source
 */
function configuration(port, directory, source) {
  return `
<source>
  @type forward
  @log_level trace
  bind 127.0.0.1
  port ${port}
  ${source}
</source>
<match opentelemetry.**>
  @type file
  path ${directory}/output/records
  append true
  <format>
    @type json
  </format>
  <inject>
    tag_key fluent_tag
    time_key fluent_time
    time_type string
    time_format %s.%N
  </inject>
  <buffer>
    @type file
    path ${directory}/buffer
    flush_mode interval
    flush_interval 1h
    flush_at_shutdown true
  </buffer>
</match>
`;
}
