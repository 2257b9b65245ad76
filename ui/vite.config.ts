// How the desk is built: hashed files under /assets, nothing inline (the server's content-security policy forbids it),
// and a NOTICE with the licences of what is shipped.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** Writes NOTICE.txt: the licence text of every npm package whose code is in the bundle, and of the font. */
function notice(): Plugin {
  return {
    name: 'perezvon-notice',
    apply: 'build',
    generateBundle() {
      const roots = new Map<string, string>();
      for (const id of this.getModuleIds()) {
        const found = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(id);
        if (found?.[1] && found[2]) roots.set(found[2], found[1]);
      }
      const texts = [...roots].sort(([a], [b]) => a.localeCompare(b)).map(([name, root]) => section(name, licenceText(root)));
      texts.push(section('Onest (font)', readFileSync('src/styles/fonts/OFL.txt', 'utf8')));
      this.emitFile({ type: 'asset', fileName: 'NOTICE.txt', source: texts.join('\n') });
    },
  };
}

function section(name: string, text: string): string {
  return `${name}\n${'-'.repeat(name.length)}\n${text.trim()}\n`;
}

function licenceText(root: string): string {
  for (const file of ['LICENSE', 'LICENSE.md', 'LICENCE', 'license', 'license.md', 'License']) {
    try {
      return readFileSync(join(root, file), 'utf8');
    } catch {
      // The next spelling.
    }
  }
  throw new Error(`${root} ships no licence text: find it and add it here`);
}

export default defineConfig({
  plugins: [svelte(), svelteTesting(), notice()],
  build: {
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox128', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: {
    proxy: {
      '/api': { target: process.env['PEREZVON_API'] ?? 'http://127.0.0.1:8090', ws: true },
      '/sip': { target: process.env['PEREZVON_API'] ?? 'http://127.0.0.1:8090', ws: true },
      '/mock': process.env['PEREZVON_API'] ?? 'http://127.0.0.1:8090',
    },
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'], restoreMocks: true },
});
