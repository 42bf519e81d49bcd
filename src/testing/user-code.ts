/** Kept here, so that fake timers of a test that has the receiver do not hold an exception back. */
const { nextTick } = process;

/**
 * Calls a function of the user, such as a listener or a script of faults, and returns its result. What it throws
 * becomes an uncaught exception of the process and does not disturb the receiver.
 */
export function callUserCode<Result>(userCode: () => Result): Result | undefined {
  try {
    return userCode();
  } catch (error) {
    nextTick(() => {
      throw error;
    });
    return undefined;
  }
}
