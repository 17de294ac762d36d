import { ask, hasBridge } from '../bridge';
import type { AppInfo, Cancelled, Refused, Saved } from '../bridge.gen';
import { messages } from '../messages';

const SHOWN_MS = 15_000;
/** `btoa` takes text, and a call only so many arguments. */
const PIECE = 0x8000;

/** The desktop window around the page: what it is, and what was saved through it. Nothing of it is in a browser. */
class DesktopState {
  #info = $state<AppInfo | null>(null);
  #stored = $state('');
  #saved = $state<Saved | null>(null);
  #problem = $state('');
  #title = '';
  #hiding: ReturnType<typeof setTimeout> | undefined;

  /** Whether the page is in the desktop window. */
  get here(): boolean {
    return this.#info !== null;
  }

  get info(): AppInfo | null {
    return this.#info;
  }

  /** Where credentials are kept, as a sentence; empty where that is not known. */
  get stored(): string {
    return this.#stored;
  }

  /** The file that was saved last, for a while. */
  get saved(): Saved | null {
    return this.#saved;
  }

  /** Why the last file was not saved or shown. */
  get problem(): string {
    return this.#problem;
  }

  /** Waits for the bridge, and takes over every download from then on; the answer stops it. */
  run(): () => void {
    const ready = (): void => void this.#meet();
    // In the window nothing is handed to a browser's own download: there is none.
    const clicked = (event: MouseEvent): void => {
      const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>('a[download]') : null;
      if (!link || event.defaultPrevented || !hasBridge()) return;
      const path = link.getAttribute('href') ?? '';
      if (!path.startsWith('/api/')) return;
      event.preventDefault();
      void this.save(path, link.download);
    };
    addEventListener('pywebviewready', ready);
    document.addEventListener('click', clicked);
    if (hasBridge()) ready();
    return () => {
      removeEventListener('pywebviewready', ready);
      document.removeEventListener('click', clicked);
      clearTimeout(this.#hiding);
    };
  }

  /** Saves what our API answers under a path to a file that the person chooses. */
  async save(path: string, name: string): Promise<void> {
    this.dismiss();
    this.#told(await ask('save_file', path, name));
  }

  /** Saves a picture that the page has drawn; false where there is no window to do it. */
  async savePicture(blob: Blob, name: string): Promise<boolean> {
    if (!hasBridge()) return false;
    this.dismiss();
    this.#told(await ask('save_picture', toBase64(await blob.arrayBuffer()), name));
    return true;
  }

  /** A sheet that the person chooses; null where they did not, or it cannot be read. */
  async openSheet(): Promise<{ name: string; content: ArrayBuffer } | null> {
    this.dismiss();
    const answer = await ask('open_file', 'sheet');
    if ('error' in answer) this.#fail(answer);
    if (!('content' in answer)) return null;
    return { name: answer.name, content: Uint8Array.from(atob(answer.content), (c) => c.charCodeAt(0)).buffer };
  }

  /** Shows a saved file or the data folder in the system's file manager. */
  async reveal(path: string): Promise<void> {
    this.#problem = '';
    const answer = await ask('reveal', path);
    if ('error' in answer) this.#fail(answer);
  }

  /** Says in the window's title how many sites need the user, and whose they are where `at` is a server elsewhere. */
  title(need: number, demo: boolean, at = ''): void {
    const title = messages.desktop.title(need, demo, at);
    if (!this.here || title === this.#title) return;
    this.#title = title;
    void ask('set_title', title);
  }

  dismiss(): void {
    clearTimeout(this.#hiding);
    this.#saved = null;
    this.#problem = '';
  }

  async #meet(): Promise<void> {
    const info = await ask('app_info');
    if ('error' in info) return;
    this.#info = info;
    const store = await ask('secret_store_state');
    if ('said' in store && store.kind !== 'unknown') this.#stored = store.said;
  }

  #told(answer: Saved | Cancelled | Refused): void {
    if ('error' in answer) this.#fail(answer);
    if ('saved' in answer) {
      this.#saved = answer;
      this.#hiding = setTimeout(() => (this.#saved = null), SHOWN_MS);
    }
  }

  #fail(answer: Refused): void {
    this.#problem = answer.error || messages.desktop.failed;
  }
}

function toBase64(bytes: ArrayBuffer): string {
  const all = new Uint8Array(bytes);
  let text = '';
  for (let at = 0; at < all.length; at += PIECE) text += String.fromCharCode(...all.subarray(at, at + PIECE));
  return btoa(text);
}

export const desktop = new DesktopState();
