/** Files by path, wherever they are: a folder, an archive in memory, what a browser tab was given. */
export interface FileSource {
  /** Every file, with "/" between folders. */
  readonly paths: readonly string[];
  /** L0101 if it is not there or cannot be read. */
  read(path: string): Uint8Array;
}
