import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';
import { icons } from './web/icons.ts';
import { licences } from './web/licences.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('./web'),
  cacheDir: here('./out/vite'),
  plugins: [icons(), svelte({ configFile: here('./svelte.config.js') }), svelteTesting(), licences()],
  resolve: { alias: { $lib: here('./web/src/lib') } },
  build: {
    outDir: here('./out/web'),
    emptyOutDir: true,
    target: 'es2022',
    // Under `default-src 'self'` nothing may stand in the page itself: no inline script, no data: picture.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': process.env.SUNGAZE_ADDRESS ?? 'http://127.0.0.1:8080' },
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.ts'],
    passWithNoTests: false,
    restoreMocks: true,
  },
});
