import { expect, test } from 'vitest';
import { decodeText } from './decode';

const bytes = (...values: number[]): ArrayBuffer => new Uint8Array(values).buffer;

test('UTF-8 is read with and without its mark', () => {
  expect(decodeText(bytes(0xef, 0xbb, 0xbf, 0x4d, 0xc3, 0xbc))).toBe('Mü');
  expect(decodeText(bytes(0x4d, 0xc3, 0xbc))).toBe('Mü');
});

test('what is no UTF-8 is Windows-1252', () => {
  expect(decodeText(bytes(0x4d, 0xfc))).toBe('Mü');
});
