// After the build: writes .br and .gz beside every file that gets smaller by it, so that the server compresses nothing.
// Called by `npm run build`; fonts and other packed formats stay as they are.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const COMPRESSIBLE = new Set(['.html', '.js', '.css', '.svg', '.json', '.txt', '.webmanifest']);
const dist = process.argv[2] ?? 'dist';

function* filesUnder(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* filesUnder(path);
    else yield path;
  }
}

const totals = { files: 0, raw: 0, br: 0 };
for (const path of [...filesUnder(dist)]) {
  if (!COMPRESSIBLE.has(extname(path))) continue;
  const raw = readFileSync(path);
  const br = brotliCompressSync(raw, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length },
  });
  const gz = gzipSync(raw, { level: 9 });
  if (br.length < raw.length) writeFileSync(`${path}.br`, br);
  if (gz.length < raw.length) writeFileSync(`${path}.gz`, gz);
  totals.files += 1;
  totals.raw += raw.length;
  totals.br += Math.min(br.length, raw.length);
}
console.log(
  `compressed ${totals.files} files: ${(totals.raw / 1000).toFixed(1)} kB raw, ${(totals.br / 1000).toFixed(1)} kB brotli`,
);
