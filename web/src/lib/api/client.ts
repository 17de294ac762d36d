import createClient from 'openapi-fetch';
import { held } from '../state/held.svelte';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type Site = Schemas['SiteOut'];
export type SiteDetail = Schemas['SiteDetail'];
export type Account = Schemas['AccountOut'];
export type Vendor = Schemas['VendorOut'];
export type Fleet = Schemas['FleetOut'];
export type Series = Schemas['SeriesOut'];
export type LayoutDay = Schemas['LayoutDayOut'];
export type DayCell = Schemas['DayCellOut'];
export type Device = Schemas['DeviceOut'];
export type DeviceDetail = Schemas['DeviceDetail'];
export type Alert = Schemas['AlertOut'];
export type Flow = Schemas['FlowOut'];
export type Completeness = Schemas['CompletenessOut'];
export type Quota = Schemas['QuotaOut'];
export type Server = Schemas['ServerOut'];

/** The typed client. Its `fetch` is looked up at each call, so that tests can stand in for the server. */
export const api = createClient<paths>({
  baseUrl: globalThis.location?.origin,
  fetch: async (request) => {
    const answer = await globalThis.fetch(request);
    held.note(answer);
    return answer;
  },
});

/** An answer that is not data. `status` 0 means that there was no answer at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly type: string;

  constructor(status: number, message: string, type = '') {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.type = type;
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer. Throws ApiError with the server's own sentence. */
export async function data<T>(call: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch (reason) {
    throw new ApiError(0, reason instanceof Error ? reason.message : String(reason));
  }
  if (answer.error !== undefined || !answer.response.ok) {
    throw problem(answer.response.status, answer.error);
  }
  return answer.data as T;
}

function problem(status: number, body: unknown): ApiError {
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const detail = typeof fields.detail === 'string' ? fields.detail : '';
  const title = typeof fields.title === 'string' ? fields.title : '';
  return new ApiError(status, detail || title || `HTTP ${status}`, typeof fields.type === 'string' ? fields.type : '');
}
