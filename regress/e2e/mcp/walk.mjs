// An agent's walk with an official client: node walk.mjs v1|v2 MODE URL
// MODE: legacy, auto, or modern (pinned).  Prints what it found as one JSON
// object; throws where keepd or the protocol is not as it should be.
import assert from 'node:assert/strict';

const [version, mode, url] = process.argv.slice(2);
const info = { name: `keepd-e2e-${version}-${mode}`, version: '1.0.0' };

async function connect() {
  if (version === 'v1') {
    const { Client } =
      await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } =
      await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const client = new Client(info);
    const transport = new StreamableHTTPClientTransport(new URL(url));
    await client.connect(transport);
    return { client, transport, era: 'legacy' };
  }
  const { Client, StreamableHTTPClientTransport } =
    await import('@modelcontextprotocol/client');
  const negotiation = mode === 'modern' ? { pin: '2026-07-28' } : mode;
  const client = new Client(info, { versionNegotiation: { mode: negotiation } });
  const transport = new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport);
  return { client, transport, era: client.getProtocolEra() };
}

const { client, transport, era } = await connect();
assert.equal(era, mode === 'legacy' ? 'legacy' : 'modern');
assert.equal(client.getServerVersion().name, 'keepd');
assert.ok(client.getInstructions().length > 40);

const { tools } = await client.listTools();
const names = tools.map((t) => t.name);
for (const want of ['get_status', 'search_logs', 'search_build_log', 'restart',
  'wait_for'])
  assert.ok(names.includes(want), `${want} is listed`);

// The client checks structuredContent against outputSchema by itself.
const call = (name, args, options) => version === 'v1'
  ? client.callTool({ name, arguments: args }, undefined, options)
  : client.callTool({ name, arguments: args }, options);
const text = (r) => {
  assert.ok(!r.isError, JSON.stringify(r));
  assert.equal(r.content[0].type, 'text');
  return r.content[0].text;
};

assert.match(text(await call('get_status', {})), /web: running/);

const found = text(await call('search_logs',
  { process: 'web', pattern: 'error', context_lines: 1, index: -1 }));
assert.deepEqual(found.split('\n'),
  ['   before', ' * error one', '   after']);

const swapped = text(await call('restart', { process: 'web' }));
assert.match(swapped, /web was restarted in dev mode/);
assert.match(text(await call('search_build_log', { process: 'web' })),
  /built in dev/);

let progress = 0;
const waited = await call('wait_for', { target: 'web', until: 'log',
  pattern: 'after', since: 'run', timeout: 20 },
  { onprogress: () => { progress++; } });
assert.equal(waited.structuredContent.reason, 'matched');

const first = text(await call('search_logs', { process: 'web', index: 0 }));
const second = text(await call('search_logs', { process: 'web', index: -1 }));
assert.match(first, /run 1/);
assert.match(second, /run 2/);
assert.match(text(await call('search_logs', { process: 'web', index: 7 })),
  /7/);

// What fails is told as the protocol wants it.
const nobody = await call('search_logs', { process: 'nobody' });
assert.equal(nobody.isError, true);
assert.match(nobody.content[0].text, /PROCESS_NOT_FOUND/);
const pattern = await call('search_logs', { process: 'web', pattern: '(' });
assert.equal(pattern.isError, true);
assert.match(pattern.content[0].text, /Invalid regex pattern/);
await assert.rejects(call('no_such_tool', {}), (e) => e.code === -32602);

const broken = await call('restart', { process: 'broken' });
assert.equal(broken.isError, true);
assert.match(broken.content[0].text, /BUILD_FAILED/);

// Many at once over one client.
const many = await Promise.all(Array.from({ length: 20 },
  () => call('get_status', { passive: true })));
assert.ok(many.every((r) => !r.isError));

if (version === 'v1')
  await transport.terminateSession();
await client.close();
console.log(JSON.stringify({ era, tools: names, progress }));
process.exit(0);
