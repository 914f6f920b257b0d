/** Why the system refused a file, in words: what it says itself names calls and drafts that no user knows. */

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission is denied",
  EEXIST: "there is a file where a folder is needed",
  EISDIR: "there is a folder where a file is needed",
  ENOENT: "it does not exist",
  ENOSPC: "no space is left",
  ENOTDIR: "there is a file where a folder is needed",
  EPERM: "permission is denied",
  EROFS: "the file system can only be read",
};

export function systemReason(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return reasons[code] ?? message;
}
