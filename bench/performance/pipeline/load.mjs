import { Application } from '../application.mjs';

/** What an application logs with a logger, and how much it was. */
export class Load {
  emitted = 0;
  #logger;
  #application = new Application();

  constructor(logger) {
    this.#logger = logger;
  }

  /** Logs so many records, one after the other. */
  log(count) {
    for (let i = 0; i < count; i++) this.#logger.emit(this.#application.next());
    this.emitted += count;
  }

  /** The same, with the application's own work between them. */
  workAndLog(count) {
    for (let i = 0; i < count; i++) {
      this.#application.work();
      this.#logger.emit(this.#application.next());
    }
    this.emitted += count;
  }

  /** The same for one record. Returns for how many microseconds `emit()` kept the application. */
  workAndTime() {
    this.#application.work();
    const record = this.#application.next();
    this.emitted++;
    const start = performance.now();
    this.#logger.emit(record);
    return (performance.now() - start) * 1_000;
  }
}
