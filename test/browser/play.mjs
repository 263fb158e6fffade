// Plays an HLS address with hls.js in Chromium and tells what is seen: a line of
// JSON on standard output each second, until standard input ends.
//
//   node play.mjs <address of the manifest> <path of chromium> '<configuration of hls.js>'
import { createServer } from 'node:http';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [url, executablePath, config = '{}'] = process.argv.slice(2);
const files = {
  '/': ['text/html', new URL('page.html', import.meta.url)],
  '/hls.js': ['text/javascript', new URL('node_modules/hls.js/dist/hls.min.js', import.meta.url)],
};

// The page comes from another origin than the stream, as those of front ends do.
const server = createServer(async (request, response) => {
  const file = files[request.url];
  response.writeHead(file ? 200 : 404, { 'Content-Type': file?.[0] ?? 'text/plain' });
  response.end(file && await readFile(file[1]));
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));

const profile = await mkdtemp(join(tmpdir(), 'chromium-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
  ],
});
let timer;
try {
  const page = context.pages()[0] ?? await context.newPage();
  page.on('pageerror', (error) => console.error(String(error)));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate(([u, c]) => play(u, c), [url, JSON.parse(config)]);
  timer = setInterval(async () => console.log(JSON.stringify(await page.evaluate(() => state()))), 1000);
  process.stdin.resume();
  await new Promise((ended) => process.stdin.once('end', ended));
} finally {
  clearInterval(timer);
  await context.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
}
