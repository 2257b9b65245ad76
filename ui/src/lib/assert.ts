/** The end of an exhaustive `switch`: a new variant that nobody handles stops the build, not the desk. */
export function assertNever(value: never): void {
  console.error('unhandled variant', value);
}
