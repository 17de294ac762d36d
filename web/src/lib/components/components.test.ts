import { fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { curvePaths } from '../charts/svg';
import { toCurve } from '../gaps';
import { anAccount, aVendor } from '../testing';
import type { Accounts } from '../state/accounts.svelte';
import AccountCard from './AccountCard.svelte';
import ExternalLink from './ExternalLink.svelte';
import Figure from './Figure.svelte';
import SecretField from './SecretField.svelte';
import StateMark from './StateMark.svelte';
import { createRawSnippet } from 'svelte';

afterEach(() => {
  delete window.pywebview;
});

const quiet = { busy: () => false, said: () => '', refresh: vi.fn() } as unknown as Accounts;
const text = createRawSnippet(() => ({ render: () => '<span>Enphase</span>' }));

test('a state is a shape and a word, the shape hidden from a screen reader', () => {
  const { container } = render(StateMark, { shape: 'fault', word: 'Fault' });
  expect(screen.getByText('Fault')).toBeTruthy();
  expect(container.querySelector('svg')?.getAttribute('aria-hidden')).toBe('true');
});

describe('a figure', () => {
  test('that is missing says so instead of a zero', () => {
    const { container } = render(Figure, { look: 'none' });
    expect(container.textContent).toContain('no data');
    expect(container.textContent).not.toContain('0');
  });

  test('that is not known yet says that', () => {
    const { container } = render(Figure, { look: 'unknown' });
    expect(container.textContent).toContain('not yet');
  });

  test('that is old tells why to a screen reader', () => {
    const { container } = render(Figure, { look: 'stale', text: '18 kW', why: 'key refused' });
    expect(container.textContent).toContain('18 kW');
    expect(container.textContent).toContain('key refused');
  });
});

describe('a link outside', () => {
  test('is a plain link in a browser', () => {
    render(ExternalLink, { href: 'https://enphase.com', children: text });
    const link = screen.getByRole('link', { name: /Enphase/ });
    expect(link.getAttribute('rel')).toBe('noopener');
    expect(link.getAttribute('target')).toBe('_blank');
  });

  test('goes through the desktop bridge where there is one', async () => {
    const open = vi.fn((url: string) => Promise.resolve({ opened: url }));
    window.pywebview = { api: { open_external: open } };
    render(ExternalLink, { href: 'https://enphase.com', children: text });
    const passed = await fireEvent.click(screen.getByRole('link', { name: /Enphase/ }));
    expect(open).toHaveBeenCalledWith('https://enphase.com');
    expect(passed).toBe(false);
  });
});

test('a secret is hidden until it is asked for', async () => {
  render(SecretField, { id: 'k', label: 'API key', required: true, describedby: undefined, value: 'abc' });
  const field = document.getElementById('k') as HTMLInputElement;
  expect(field.type).toBe('password');
  await fireEvent.click(screen.getByRole('button', { name: 'Show API key' }));
  expect(field.type).toBe('text');
});

describe('an account', () => {
  test('says what is used and left, and true progress', () => {
    render(AccountCard, { accounts: quiet, account: anAccount(), vendor: aVendor(), disconnect: vi.fn() });
    expect(screen.getByText('152 of 10,000 used, 9,848 left')).toBeTruthy();
    expect(screen.getByText('30 of 48 pieces of history')).toBeTruthy();
    const bar = screen.getByRole('progressbar', { name: 'Buying history' }) as HTMLProgressElement;
    expect([bar.value, bar.max]).toEqual([30, 48]);
  });

  test('that is broken says why and offers to connect again, with its plan kept', () => {
    const account = anAccount({ state: 'needs_reconnect', state_reason: 'The key was refused.' });
    render(AccountCard, { accounts: quiet, account, vendor: aVendor(), disconnect: vi.fn() });
    expect(screen.getByText('The key was refused.')).toBeTruthy();
    expect(screen.getByRole('link', { name: 'Connect again' }).getAttribute('href')).toContain('plan=partner');
  });
});

test('a drawn curve has one piece on each side of a gap', () => {
  const curve = toCurve([[0, 1], [300, 1], [1500, 1], [1800, 1]], 300, null, 2100);
  const { line, area } = curvePaths(curve, { start: 0, end: 2100 }, 1);
  expect(line.match(/M/g)).toHaveLength(2);
  expect(area.match(/z/g)).toHaveLength(2);
});
