// Static files on loopback, at a port of the system's choice.
import { createServer } from 'node:http';
import { readFile } from 'node:fs';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml',
};

// `mounts` maps the first part of a path to a folder or a file. Returns the address and what closes the server.
export async function serve(mounts) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(request.url.split('?')[0]));
    const [, first, ...rest] = path.split('/');
    const file = mounts[first] && !path.includes('..') && join(mounts[first], ...rest);
    readFile(file || '', (error, bytes) => {
      if (error) return response.writeHead(404).end();
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(bytes);
    });
  });
  await new Promise(done => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
