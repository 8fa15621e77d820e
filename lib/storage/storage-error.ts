// A data folder that can't be used as it is: what is wrong, where, and what to do.

export class StorageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StorageError';
  }
}

/** A file of the folder holds what it should not. */
export function damaged(directory: string, path: string, offset: number, reason: string): StorageError {
  const place = offset < 0 ? path : `${path}: at byte ${offset}`;
  return new StorageError(
    `${place}: ${reason}. The data folder is damaged and is left as it is: 'leveret log verify ${directory}' tells what else is wrong, ` +
      `'leveret log dump ${directory}' shows what can be read; restore the folder from a copy, or start with another one`,
  );
}
