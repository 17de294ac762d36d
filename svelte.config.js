import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true },
  vitePlugin: {
    // Components of a package may still be written the old way.
    dynamicCompileOptions: ({ filename }) =>
      filename.includes('/node_modules/') ? { runes: undefined } : undefined,
  },
};
