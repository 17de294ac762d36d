/** The desktop window's bridge: what a page cannot do by itself. Absent in a browser. */
interface DesktopApi {
  open_external?: (url: string) => Promise<unknown>;
}

declare global {
  interface Window {
    pywebview?: { api?: DesktopApi };
  }
}

/** Opens a link outside the window where there is a bridge; says whether it took it. */
export function openOutside(url: string): boolean {
  const open = window.pywebview?.api?.open_external;
  if (!open || !/^https?:\/\//.test(url)) return false;
  void open(url);
  return true;
}
