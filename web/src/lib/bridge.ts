import type { Desktop, Refused } from './bridge.gen';

declare global {
  interface Window {
    pywebview?: { api?: Partial<Desktop> };
  }
}

type Arguments<Name extends keyof Desktop> = Parameters<Desktop[Name]>;
type Answer<Name extends keyof Desktop> = Awaited<ReturnType<Desktop[Name]>>;

/** Whether the window's bridge is there; a browser has none, and the window's comes a moment after the page. */
export function hasBridge(): boolean {
  return typeof window.pywebview?.api?.app_info === 'function';
}

/** What the desktop answers; a refusal where there is no bridge. Never throws. */
export async function ask<Name extends keyof Desktop>(name: Name, ...given: Arguments<Name>): Promise<Answer<Name> | Refused> {
  const call = window.pywebview?.api?.[name] as ((...given: Arguments<Name>) => Promise<Answer<Name>>) | undefined;
  if (!call) return { error: '' };
  try {
    return await call(...given);
  } catch {
    return { error: '' };
  }
}

/** Opens a link outside the window where there is a bridge; says whether it took it. */
export function openOutside(url: string): boolean {
  const open = window.pywebview?.api?.open_external;
  if (!open || !/^https?:\/\//.test(url)) return false;
  void open(url);
  return true;
}
