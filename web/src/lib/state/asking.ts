import { ApiError } from '../api/client';
import { messages } from '../messages';
import { session } from './session.svelte';

/** What a person is told of an answer that failed; a session that has ended is noted. */
export function problemOf(error: unknown): string {
  session.refused(error);
  if (error instanceof ApiError && error.status === 0) return messages.entry.unreachable;
  return error instanceof Error ? error.message : messages.common.failed;
}
