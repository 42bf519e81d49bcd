/** What a command ends the process with. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT = {
  success: 0,
  failure: 1,
  /** The arguments, or the options in them, are wrong: nothing was done. */
  usage: 2,
} as const;

/** Ends a command with {@link EXIT.usage} and its help. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly help: string;

  constructor(message: string, help: string) {
    super(message);
    this.help = help;
  }
}
