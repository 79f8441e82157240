// Perfetto's trace processor (WASM) over a file.
//
//   node trace-processor.mjs ENGINE TRACE < queries.json
//
// ENGINE holds trace_processor.wasm, engine_bundle.node.js and engine.mjs. The queries are an array of SQL; the answer
// is an array of { columns, rows } or { error }, one for each.
import { readFileSync, openSync, readSync, closeSync } from 'node:fs';
import { resolve, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

const PIECE = 32 << 20;
const [engine, trace] = process.argv.slice(2);
const queries = JSON.parse(readFileSync(0, 'utf8'));
const processor = await load(resolve(engine));
await feed(trace);
const answers = [];
for (const sql of queries) answers.push(await ask(sql));
process.stdout.write(JSON.stringify(answers), () => process.exit(0));

// The bundle is made for a browser's worker. It gets the few globals it looks for, its WASM from memory, and a handle
// on its bridge.
async function load(folder) {
  const { EngineBase } = await import(pathToFileURL(join(folder, 'engine.mjs')).href);
  const define = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  define('self', globalThis);
  define('WorkerGlobalScope', function () {});
  define('location', { href: pathToFileURL(folder).href + '/' });
  define('perfettoWasm', new Uint8Array(readFileSync(join(folder, 'trace_processor.wasm'))));
  console.warn = () => {};
  let bundle = readFileSync(join(folder, 'engine_bundle.node.js'), 'utf8');
  const edit = (from, to) => {
    if (!bundle.includes(from)) throw new Error(`the engine has changed: it lacks ${from}`);
    bundle = bundle.replace(from, to);
  };
  edit('this.useMemory64 = hasMemory64Support();', 'this.useMemory64 = false;');
  edit('locateFile: (s) => s,', 'locateFile: (s) => s, wasmBinary: globalThis.perfettoWasm,');
  const bridge = 'const wasmBridge = new wasm_bridge_1.WasmBridge();';
  edit(bridge, bridge + ' globalThis.perfettoBridge = wasmBridge;');
  vm.runInThisContext(bundle);
  const { port1, port2 } = new MessageChannel();
  globalThis.perfettoBridge.initialize(port1);
  class Processor extends EngineBase {
    mode = 'WASM';
    id = 'oracle';
    constructor() {
      super();
      port2.onmessage = ({ data }) => data instanceof Uint8Array && this.onRpcResponseBytes(data);
    }
    rpcSendRequestBytes(bytes) { port2.postMessage(bytes); }
    [Symbol.dispose]() {}
  }
  const processor = new Processor();
  while (!globalThis.perfettoBridge.reqBufferAddr) await new Promise(done => setTimeout(done, 5));
  return processor;
}

async function feed(file) {
  const descriptor = openSync(file);
  for (;;) {
    const piece = new Uint8Array(PIECE);
    const length = readSync(descriptor, piece, 0, PIECE, null);
    if (length === 0) break;
    await processor.parse(piece.subarray(0, length));
  }
  closeSync(descriptor);
  await processor.notifyEof();
}

async function ask(sql) {
  try {
    const result = await processor.query(sql);
    const columns = result.columns();
    const rows = [];
    for (const row = result.iter({}); row.valid(); row.next()) rows.push(columns.map(name => plain(row.get(name))));
    return { columns, rows };
  } catch (error) {
    return { error: String(error.message ?? error).slice(0, 500) };
  }
}

// A 64-bit number that a double cannot hold is given as text.
function plain(value) {
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}
