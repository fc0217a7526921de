'use strict';
// A web service that runs under semper with nothing but Node's standard library.
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const version = fs.readFileSync(path.join(__dirname, 'version.txt'), 'utf8').trim();
const release = process.env.SEMPER_RELEASE || 'none';
const instance = process.env.SEMPER_INSTANCE || 'none';
const prefix = '/node-hello'; // semper passes paths on as they came

function answer(res, text) {
  res.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(text) });
  res.end(text);
}

// One server-sent event a second until the client leaves or this instance is retired.
const streams = new Set();
function events(res) {
  let n = 0;
  const send = () => { n += 1; res.write(`id: ${n}\ndata: ${release} ${n}\n\n`); };
  res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  send();
  const timer = setInterval(send, 1000);
  streams.add(res);
  res.on('close', () => { clearInterval(timer); streams.delete(res); });
}

const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  const at = url.pathname.startsWith(prefix) ? url.pathname.slice(prefix.length) || '/' : url.pathname;
  if (at === '/healthz') {
    answer(res, 'ok\n');
  } else if (at === '/slow') {
    const ms = Math.min(Number(url.searchParams.get('ms')) || 2000, 60000);
    setTimeout(() => answer(res, `slept ${ms} ms in ${release}\n`), ms);
  } else if (at === '/sse') {
    events(res);
  } else if (req.method === 'POST') {
    let bytes = 0;
    req.on('data', (chunk) => { bytes += chunk.length; });
    req.on('end', () => answer(res, `${release} read ${bytes} bytes\n`));
  } else {
    answer(res, `hello from node, version ${version}\nrelease ${release}, instance ${instance}, pid ${process.pid}\n`);
  }
});

// Longer than the edge keeps an idle connection: otherwise a request may meet the close of the connection it came on.
server.keepAliveTimeout = 120000;
server.headersTimeout = 125000;

function stop() {
  for (const res of streams) res.end();
  server.close(() => { console.log('node-hello has finished'); process.exit(0); });
  server.closeIdleConnections();
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);

const port = Number(process.env.PORT) || 8000;
server.listen(port, '127.0.0.1', 512, () => console.log(`node-hello ${version} listens on 127.0.0.1:${port}`));
