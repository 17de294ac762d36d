/** Written by build/bridge_types.py from sungaze/desktop/contract.py; change that one. */

/** The link that the browser was given. */
export interface Opened {
  opened: string;
}

/** Why nothing was done, as a sentence. */
export interface Refused {
  error: string;
}

/** Where the file is now, whole; `name` is its last part. */
export interface Saved {
  saved: string;
  name: string;
}

/** The person closed the dialog without choosing. */
export interface Cancelled {
  cancelled: true;
}

/** A file that the person chose: its name, its size in bytes, its content in base64. */
export interface Picked {
  name: string;
  size: number;
  content: string;
}

/** The path that is shown in the system's file manager. */
export interface Revealed {
  revealed: string;
}

/** Whether the desktop took the notification. */
export interface Notified {
  notified: boolean;
}

/** The title that the window has. */
export interface Titled {
  title: string;
}

/** Where credentials are kept: `said` is a sentence for people. */
export interface SecretStoreState {
  kind: 'keyring' | 'file' | 'both' | 'unknown';
  said: string;
}

/** What the About page shows of the desktop side. */
export interface AppInfo {
  version: string;
  platform: string;
  webview: string;
  data_dir: string;
}

/** The functions behind `window.pywebview.api`. */
export interface Desktop {
  /** Open a link in the user's browser. */
  open_external: (url: string) => Promise<Opened | Refused>;
  /**
   * Save what our own API answers under a path to a file that the person chooses.
   *
   * `name` is proposed where the answer names no file itself.
   */
  save_file: (path: string, name: string) => Promise<Saved | Cancelled | Refused>;
  /** Save a PNG that the page has drawn to a file that the person chooses. */
  save_picture: (content: string, name: string) => Promise<Saved | Cancelled | Refused>;
  /** The file that the person chooses. */
  open_file: (kind: 'sheet') => Promise<Picked | Cancelled | Refused>;
  /** Show a file that was saved here, or the data folder, in the system's file manager. */
  reveal: (path: string) => Promise<Revealed | Refused>;
  /** Show a notification of the desktop. */
  notify: (title: string, body: string) => Promise<Notified | Refused>;
  /** Set the window's title. */
  set_title: (title: string) => Promise<Titled | Refused>;
  /** Where credentials are kept. */
  secret_store_state: () => Promise<SecretStoreState | Refused>;
  /** What program this is. */
  app_info: () => Promise<AppInfo | Refused>;
}
