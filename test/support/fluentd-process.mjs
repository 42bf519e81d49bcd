// @ts-check
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
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

/**
 * @typedef {object} FluentdOptions
 * @property {string} [source] added to the forward input's section
 * @property {string} [buffer] settings of the output's buffer, in place of those by which it is written out when Fluentd stops
 * @property {number} [workers] processes that share the port, under a supervisor
 */

/** A Fluentd with a forward input, a file buffer and a file output that keeps a time's nanoseconds. */
export class FluentdProcess extends ReceiverProcess {
  #workers;
  #options;

  /**
   * @param {number} port
   * @param {FluentdOptions} [options]
   */
  constructor(port, options = {}) {
    const { workers = 1 } = options;
    super({
      name: 'fluentd',
      port,
      // One process without a supervisor where it can be, so that a signal reaches all there is.
      command: (directory) => [
        'fluentd',
        ...(workers === 1 ? ['--no-supervisor'] : []),
        '-c',
        join(directory, 'fluent.conf'),
      ],
      environment: {
        // Where a kill leaves its socket, to go with the directory; the path of a socket has to be short.
        SERVERENGINE_SOCKETMANAGER_SOCK_DIR: '.',
        // SIGCONT has it write its state down.
        SIGDUMP_PATH: 'sigdump.log',
      },
      runningLine: 'fluentd worker is now running',
      processes: workers,
    });
    this.#workers = workers;
    this.#options = options;
    this.#writeConfiguration();
  }

  /**
   * Adds this to the forward input's section in place of what was added before, from its next start on.
   *
   * @param {string} source
   */
  configure(source) {
    this.#options = { ...this.#options, source };
    this.#writeConfiguration();
  }

  #writeConfiguration() {
    const text = configuration(this.port, this.directory, this.#options);
    writeFileSync(join(this.directory, 'fluent.conf'), text);
  }

  /** The endpoint where the forward input has a section `<transport tls>`. */
  get tlsEndpoint() {
    return `tls://127.0.0.1:${this.port}`;
  }

  /** Keeps its output from being written, so that its buffer fills: a file stands where the directory should. */
  jam() {
    writeFileSync(this.#outputPath, '');
  }

  /** Ends a {@link jam}. */
  unjam() {
    rmSync(this.#outputPath);
  }

  /**
   * Kills one of several workers, which the supervisor then starts again.
   *
   * @param {number} worker
   */
  killWorker(worker) {
    const starts = [...this.log.matchAll(/starting fluentd worker pid=(\d+) .*worker=(\d+)/g)];
    const pid = starts.findLast(([, , number]) => Number(number) === worker)?.[1];
    if (pid === undefined) throw new Error(`fluentd has no worker ${worker}:\n${this.log}`);
    process.kill(Number(pid), 'SIGKILL');
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

  /** Connections that each of several workers has accepted. */
  get connectionsByWorker() {
    return Array.from({ length: this.#workers }, (_, worker) => this.count(`#${worker} accepted fluent socket`));
  }

  /** The chunk ids that it has acknowledged, in order. */
  get acks() {
    return [...this.log.matchAll(/sent response to fluent socket .*"ack"=>"([^"]+)"/g)].map(([, id]) => String(id));
  }

  get #outputPath() {
    return join(this.directory, 'output');
  }
}

const WRITTEN_AT_THE_END = `
    flush_mode interval
    flush_interval 1h
    flush_at_shutdown true`;

/**
 * @param {number} port
 * @param {string} directory
 * @param {FluentdOptions} options
 */
function configuration(port, directory, { source = '', buffer = WRITTEN_AT_THE_END, workers = 1 }) {
  return `
<system>
  workers ${workers}
</system>
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
    ${buffer}
  </buffer>
</match>
`;
}
